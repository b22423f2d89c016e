// A record lock and a flock of one file, released one by one.
#include "small.h"

int main(void)
{
    int a = open("a", O_RDWR);
    struct flock one = {.l_type = F_WRLCK, .l_len = 1}, none = {.l_type = F_UNLCK, .l_len = 1};
    if (!fork()) {
        int b = open("a", O_RDWR);
        _exit(flock(b, LOCK_EX | LOCK_NB) ? 1 : 0);
    }
    flock(a, LOCK_EX);
    fcntl(a, F_SETLK, &one);
    fcntl(a, F_SETLK, &none);
    close(a);
    wait(0);
    return 0;
}
