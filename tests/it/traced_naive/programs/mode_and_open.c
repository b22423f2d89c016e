// A file's mode is changed while its bits are looked at.
#include "small.h"

int main(void)
{
    if (!fork())
        _exit(chmod("a", 0600));
    struct stat s;
    stat("a", &s);
    wait(0);
    return (s.st_mode & 077) != 0;
}
