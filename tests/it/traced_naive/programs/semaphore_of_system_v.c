// A System V semaphore around an update.
#include "small.h"

int main(void)
{
    int s = semget(IPC_PRIVATE, 1, 0600);
    semctl(s, 0, SETVAL, 1);
    for (int i = 0; i < 2; i++)
        if (!fork()) {
            struct sembuf down = {0, -1, 0}, up = {0, 1, 0};
            semop(s, &down, 1);
            char b = 0;
            int a = open("a", O_RDWR);
            pread(a, &b, 1, 0);
            b++;
            pwrite(a, &b, 1, 0);
            semop(s, &up, 1);
            _exit(0);
        }
    wait(0);
    wait(0);
    semctl(s, 0, IPC_RMID);
    return 0;
}
