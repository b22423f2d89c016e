// A handler that makes a call, and an access to shared memory before, during or after which it comes.
#include "small.h"

static void on_signal(int signal) { write(1, "h", 1); }

int main(void)
{
    volatile int *n = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigaction(SIGUSR1, &action, 0);
    if (!fork()) {
        kill(getppid(), SIGUSR1);
        _exit(0);
    }
    *n = 1;
    wait(0);
    return 0;
}
