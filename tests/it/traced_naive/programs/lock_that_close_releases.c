// A record lock, lost when another descriptor of the file is closed.
#include "small.h"

int main(void)
{
    int a = open("a", O_RDWR);
    struct flock one = {.l_type = F_WRLCK, .l_len = 1};
    fcntl(a, F_SETLK, &one);
    if (!fork()) {
        int b = open("a", O_RDWR);
        _exit(fcntl(b, F_SETLK, &one) ? 1 : 0);
    }
    close(open("a", O_RDONLY));
    int status;
    wait(&status);
    return WEXITSTATUS(status);
}
