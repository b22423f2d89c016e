// A System V semaphore that nobody waits for.
#include "small.h"

int main(void)
{
    int s = semget(IPC_PRIVATE, 1, 0600);
    semctl(s, 0, SETVAL, 1);
    struct sembuf down = {0, -1, IPC_NOWAIT};
    for (int i = 0; i < 2; i++)
        if (!fork())
            _exit(semop(s, &down, 1) ? 1 : 0);
    wait(0);
    wait(0);
    return 0;
}
