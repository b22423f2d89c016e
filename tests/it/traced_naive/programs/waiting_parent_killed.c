// A parent that its child kills while it waits for it, or before.
#include "small.h"
int main(void)
{
    if (!fork()) {
        kill(getppid(), SIGUSR1);
        write(open("b", O_WRONLY | O_APPEND), "x", 1);
        _exit(0);
    }
    write(open("b", O_WRONLY | O_APPEND), "y", 1);
    wait(0);
    return 0;
}
