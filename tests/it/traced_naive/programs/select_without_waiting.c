// select that does not wait.
#include "small.h"

int main(void)
{
    int p[2];
    pipe(p);
    if (!fork()) {
        write(p[1], "x", 1);
        _exit(0);
    }
    fd_set set;
    FD_ZERO(&set);
    FD_SET(p[0], &set);
    struct timeval none = {0};
    int n = select(p[0] + 1, &set, 0, 0, &none);
    wait(0);
    return n;
}
