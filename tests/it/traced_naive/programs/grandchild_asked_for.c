// A grandchild is asked for by its PID while its parent waits for it.
#include "small.h"

int main(void)
{
    int p[2];
    pipe(p);
    if (!fork()) {
        int g = fork();
        if (!g) _exit(0);
        write(p[1], &g, 4);
        wait(0);
        _exit(0);
    }
    int g;
    read(p[0], &g, 4);
    int alive = !kill(g, 0);
    wait(0);
    return alive;
}
