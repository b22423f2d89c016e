// A lock file whose maker may not have begun.
#include "small.h"

int main(void)
{
    if (!fork()) {
        int f = open("lock", O_CREAT | O_EXCL | O_WRONLY, 0600);
        if (f < 0)
            _exit(1);
        int a = open("a", O_WRONLY);
        write(a, "2", 1);
        unlink("lock");
        _exit(0);
    }
    int free = access("lock", F_OK);
    char b = 0;
    int a = open("a", O_RDONLY);
    read(a, &b, 1);
    wait(0);
    return (b - '0') * 2 + !!free;
}
