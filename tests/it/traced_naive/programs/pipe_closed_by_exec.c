// The end of a pipe that is closed by an exec.
#include "small.h"

int main(void)
{
    int p[2];
    pipe2(p, O_CLOEXEC);
    if (!fork()) {
        close(p[0]);
        execl("/bin/true", "true", (char *)0);
        _exit(1);
    }
    close(p[1]);
    char b;
    int n = read(p[0], &b, 1);
    wait(0);
    return n;
}
