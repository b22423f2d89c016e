// A futex that one process sets and another waits for.
#include "small.h"

int main(void)
{
    volatile int *n = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (!fork()) {
        *n = 1;
        syscall(SYS_futex, n, FUTEX_WAKE, 1, 0, 0, 0);
        _exit(0);
    }
    while (!*n)
        syscall(SYS_futex, n, FUTEX_WAIT, 0, 0, 0, 0);
    wait(0);
    return *n;
}
