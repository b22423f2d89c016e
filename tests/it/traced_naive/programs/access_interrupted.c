// A handler that interrupts an access to shared memory, which is made again after it.
#include "small.h"

static void on_child(int signal) {}

int main(void)
{
    volatile int *n = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct sigaction action = {.sa_handler = on_child, .sa_flags = SA_RESTART};
    sigaction(SIGCHLD, &action, 0);
    if (!fork()) {
        *n = 5;
        _exit(0);
    }
    *n = 1;
    *n = 2;
    wait(0);
    return *n;
}
