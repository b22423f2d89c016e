// Which of two blocked signals is waited for.
#include "small.h"

int main(void)
{
    sigset_t s;
    sigemptyset(&s);
    sigaddset(&s, SIGUSR1);
    sigaddset(&s, SIGUSR2);
    sigprocmask(SIG_BLOCK, &s, 0);
    for (int i = 0; i < 2; i++) if (!fork()) {
        kill(getppid(), i ? SIGUSR1 : SIGUSR2);
        _exit(0);
    }
    int n;
    sigwait(&s, &n);
    wait(0);
    wait(0);
    return n == SIGUSR1;
}
