// Two writers of a pipe, whose order its reader sees.
#include "small.h"

int main(void)
{
    int p[2];
    pipe(p);
    for (int i = 0; i < 2; i++)
        if (!fork()) {
            write(p[1], i ? "x" : "y", 1);
            _exit(0);
        }
    char b[2];
    read(p[0], b, 1);
    read(p[0], b + 1, 1);
    wait(0);
    wait(0);
    return b[0] == 'x';
}
