// A second name of a file, made while the first is removed.
#include "small.h"

int main(void)
{
    if (!fork())
        _exit(link("a", "c") ? 1 : 0);
    int gone = unlink("a");
    wait(0);
    struct stat s;
    return gone * 2 + !stat("c", &s);
}
