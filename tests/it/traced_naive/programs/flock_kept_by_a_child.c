// A lock that a child inherits with its description, and keeps until it ends.
#include "small.h"

int main(void)
{
    int a = open("a", O_RDWR);
    flock(a, LOCK_EX);
    if (!fork())
        _exit(0);
    close(a);
    int b = open("a", O_RDWR);
    int busy = flock(b, LOCK_EX | LOCK_NB);
    wait(0);
    return !!busy;
}
