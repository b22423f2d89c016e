// A child that becomes another program while its parent looks.
#include "small.h"

int main(void)
{
    if (!fork()) {
        execl("/bin/sh", "sh", "-c", ": > made", (char *)0);
        _exit(1);
    }
    int missing = access("made", F_OK);
    wait(0);
    return !!missing;
}
