// A file is made in an open folder that is renamed.
#include "small.h"

int main(void)
{
    mkdir("d", 0700);
    int d = open("d", O_RDONLY);
    if (!fork()) {
        rename("d", "e");
        mkdir("d", 0700);
        _exit(0);
    }
    int f = openat(d, "x", O_CREAT | O_WRONLY, 0600);
    wait(0);
    return f < 0;
}
