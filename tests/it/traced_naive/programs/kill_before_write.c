// A child is killed before, between or after its writes.
#include "small.h"

int main(void)
{
    int child = fork();
    if (!child) {
        int f = open("b", O_WRONLY);
        write(f, "x", 1);
        write(f, "y", 1);
        _exit(0);
    }
    kill(child, SIGKILL);
    int status;
    wait(&status);
    return WIFSIGNALED(status);
}
