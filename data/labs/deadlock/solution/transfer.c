/* Two accounts, the files `a` and `b`. One process moves 5 from b to a, another moves 2 from a to b, at the same time.
   Each locks both files first, in the order of their names, whichever way the money goes. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

static void add(int fd, int amount)
{
    char text[16] = "";
    if (pread(fd, text, sizeof text - 1, 0) <= 0)
        _exit(1);
    int n = snprintf(text, sizeof text, "%d\n", atoi(text) + amount);
    if (ftruncate(fd, 0) < 0 || pwrite(fd, text, n, 0) != n)
        _exit(1);
}

static void transfer(const char *from, const char *to, int amount)
{
    int source = open(from, O_RDWR), target = open(to, O_RDWR);
    int source_is_first = strcmp(from, to) < 0;
    if (flock(source_is_first ? source : target, LOCK_EX) < 0 || flock(source_is_first ? target : source, LOCK_EX) < 0)
        _exit(1);
    add(source, -amount);
    add(target, amount);
}

int main(void)
{
    if (fork() == 0) {
        transfer("b", "a", 5);
        _exit(0);
    }
    if (fork() == 0) {
        transfer("a", "b", 2);
        _exit(0);
    }
    int status, worst = 0;
    while (wait(&status) > 0)
        if (status != 0)
            worst = 1;
    return worst;
}
