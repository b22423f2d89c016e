// Which of two children that crash is waited for first.
#include "small.h"

int main(void)
{
    int one = fork();
    if (!one) {
        write(open("b", O_WRONLY | O_APPEND), "x", 1);
        raise(SIGTERM);
    }
    if (!fork()) {
        write(open("b", O_WRONLY | O_APPEND), "y", 1);
        *(volatile int *)8 = 0;
    }
    int first = wait(0);
    wait(0);
    return first == one;
}
