// A child that may have ended already.
#include "small.h"

int main(void)
{
    if (!fork())
        _exit(0);
    int none = waitpid(-1, 0, WNOHANG) == 0;
    if (none)
        wait(0);
    return none;
}
