/* sale N: N buyers, each a process, and one ticket in the file `stock`. The lock is held from the read to the write. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

static int buy(char name)
{
    char text[16] = "";
    int fd = open("stock", O_RDWR);
    /* The lock is gone when the file is closed, however the process ends. */
    if (fd < 0 || flock(fd, LOCK_EX) < 0)
        return 1;
    if (read(fd, text, sizeof text - 1) <= 0)
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
