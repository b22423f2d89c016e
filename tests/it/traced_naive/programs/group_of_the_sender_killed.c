// A process that kills its own group, a child that writes included.
#include "small.h"

int main(void)
{
    if (!fork()) {
        write(open("b", O_RDWR), "x", 1);
        _exit(0);
    }
    kill(0, SIGKILL);
    return 0;
}
