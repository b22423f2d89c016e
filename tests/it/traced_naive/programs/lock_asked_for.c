// The owner of a record lock is asked for.
#include "small.h"

int main(void)
{
    int c = fork();
    if (!c) {
        int a = open("a", O_RDWR);
        struct flock l = {.l_type = F_WRLCK, .l_len = 1};
        fcntl(a, F_SETLK, &l);
        _exit(0);
    }
    int a = open("a", O_RDWR);
    struct flock l = {.l_type = F_WRLCK, .l_len = 1};
    fcntl(a, F_GETLK, &l);
    wait(0);
    return l.l_type == F_WRLCK ? (l.l_pid == c) + 1 : 0;
}
