// A lock of an open file description, inherited by a child that ends at once.
#include "small.h"

int main(void)
{
    int a = open("a", O_RDWR);
    struct flock one = {.l_type = F_WRLCK, .l_len = 1};
    fcntl(a, F_OFD_SETLK, &one);
    if (!fork())
        _exit(0);
    close(a);
    int b = open("a", O_RDWR);
    int busy = fcntl(b, F_OFD_SETLK, &one);
    wait(0);
    return busy ? 1 : 0;
}
