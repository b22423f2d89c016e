// A writer that does not wait for a named pipe's reader.
#include "small.h"

int main(void)
{
    mkfifo("f", 0600);
    if (!fork())
        _exit(open("f", O_WRONLY | O_NONBLOCK) < 0 ? 1 : 0);
    int f = open("f", O_RDONLY | O_NONBLOCK);
    wait(0);
    return f < 0;
}
