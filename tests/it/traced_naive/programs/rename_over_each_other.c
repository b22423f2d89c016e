// Two processes rename one file to different names.
#include "small.h"

int main(void)
{
    for (int i = 0; i < 2; i++)
        if (!fork())
            _exit(rename("a", i ? "x" : "y") ? 1 : 0);
    wait(0);
    wait(0);
    return 0;
}
