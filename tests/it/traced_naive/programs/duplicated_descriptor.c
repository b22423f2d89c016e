// A duplicate moves the offset of the original.
#include "small.h"

int main(void)
{
    int f = open("b", O_RDWR);
    if (!fork()) {
        int d = dup(f);
        lseek(d, 2, SEEK_SET);
        _exit(0);
    }
    write(f, "x", 1);
    wait(0);
    return 0;
}
