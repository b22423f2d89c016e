// A signal to the group of a child that has none, beside a child that makes its own.
#include "small.h"
int main(void)
{
    int c1, c2;
    if (!(c1 = fork()))
        _exit(0);
    if (!(c2 = fork())) {
        setpgid(0, 0);
        _exit(0);
    }
    kill(-c1, SIGKILL);
    while (wait(0) > 0)
        ;
    return 0;
}
