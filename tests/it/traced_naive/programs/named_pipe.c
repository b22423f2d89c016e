// A named pipe: its reader opens it, or never does.
#include "small.h"

int main(void)
{
    mkfifo("f", 0600);
    if (!fork()) {
        int f = open("f", O_WRONLY);
        write(f, "x", 1);
        _exit(0);
    }
    int f = open("f", O_RDONLY);
    char b = 0;
    int n = read(f, &b, 1);
    wait(0);
    return n;
}
