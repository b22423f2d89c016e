// A process that ignores the ends of its children, of which some may have ended.
#include "small.h"

int main(void)
{
    for (int i = 0; i < 2; i++)
        if (!fork())
            _exit(0);
    signal(SIGCHLD, SIG_IGN);
    int n = 0;
    while (wait(0) > 0)
        n++;
    return n;
}
