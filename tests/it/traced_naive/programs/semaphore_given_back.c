// A System V semaphore that its holder's end gives back.
#include "small.h"

int main(void)
{
    int s = semget(IPC_PRIVATE, 1, 0600);
    semctl(s, 0, SETVAL, 1);
    struct sembuf d = {0, -1, SEM_UNDO};
    if (!fork()) {
        semop(s, &d, 1);
        _exit(0);
    }
    struct sembuf n = {0, -1, IPC_NOWAIT};
    int r = semop(s, &n, 1);
    wait(0);
    semctl(s, 0, IPC_RMID);
    return !!r;
}
