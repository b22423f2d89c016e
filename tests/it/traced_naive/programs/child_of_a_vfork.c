// The child of a vfork, and a sibling beside it.
#include "small.h"

int main(void)
{
    if (!fork()) {
        int f = open("b", O_WRONLY | O_APPEND);
        write(f, "x", 1);
        _exit(0);
    }
    if (!vfork())
        _exit(access("b", R_OK));
    int f = open("b", O_WRONLY | O_APPEND);
    write(f, "y", 1);
    wait(0);
    wait(0);
    return 0;
}
