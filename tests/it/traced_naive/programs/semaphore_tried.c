// A POSIX semaphore in shared memory that one tries and the other takes.
#include "small.h"

int main(void)
{
    sem_t *s = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    sem_init(s, 1, 1);
    if (!fork())
        _exit(sem_trywait(s) ? 1 : 0);
    int busy = sem_trywait(s);
    wait(0);
    return !!busy;
}
