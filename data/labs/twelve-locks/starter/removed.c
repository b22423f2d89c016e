/* removed N: N buyers, each a process, and the tickets in the file `stock`. The lock is on the file `lock`, which each
   buyer first removes, in case an earlier run has left it behind. It sells too many. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

static int buy(char name)
{
    char text[16] = "";
    unlink("lock");
    int lock = open("lock", O_RDWR | O_CREAT, 0644);
    if (lock < 0 || flock(lock, LOCK_EX) < 0)
        return 1;
    int fd = open("stock", O_RDWR);
    if (fd < 0 || read(fd, text, sizeof text - 1) <= 0)
        return 1;
    int left = atoi(text);
    if (left > 0) {
        int n = snprintf(text, sizeof text, "%d\n", left - 1);
        if (pwrite(fd, text, n, 0) != n)
            return 1;
        dprintf(1, "%c has a ticket\n", name);
    } else {
        dprintf(1, "%c has no ticket\n", name);
    }
    close(fd);
    close(lock);
    return 0;
}

int main(int argc, char **argv)
{
    int n = argc > 1 ? atoi(argv[1]) : 2;
    for (int i = 0; i < n; i++)
        if (fork() == 0)
            _exit(buy('A' + i));
    int status, worst = 0;
    while (wait(&status) > 0)
        if (status != 0)
            worst = 1;
    return worst;
}
