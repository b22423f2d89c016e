// Which of two children ends first.
#include "small.h"

int main(void)
{
    int one = fork();
    if (!one)
        _exit(0);
    if (!fork())
        _exit(0);
    int first = wait(0);
    wait(0);
    return first == one;
}
