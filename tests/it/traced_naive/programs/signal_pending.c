// A blocked signal is looked for before it may have been sent.
#include "small.h"

int main(void)
{
    sigset_t s;
    sigemptyset(&s);
    sigaddset(&s, SIGUSR1);
    sigprocmask(SIG_BLOCK, &s, 0);
    if (!fork()) {
        kill(getppid(), SIGUSR1);
        _exit(0);
    }
    sigset_t p;
    sigpending(&p);
    wait(0);
    return sigismember(&p, SIGUSR1);
}
