// A symbolic link is replaced in two steps while it is followed.
#include "small.h"

int main(void)
{
    symlink("a", "l");
    if (!fork()) {
        unlink("l");
        symlink("b", "l");
        _exit(0);
    }
    char b = '?';
    int f = open("l", O_RDONLY);
    int n = f < 0 ? -1 : read(f, &b, 1);
    wait(0);
    return n + 1;
}
