// One writer appends, the other writes where it was told to.
#include "small.h"

int main(void)
{
    if (!fork()) {
        int f = open("b", O_WRONLY | O_APPEND);
        write(f, "xx", 2);
        _exit(0);
    }
    int f = open("b", O_WRONLY);
    write(f, "y", 1);
    wait(0);
    return 0;
}
