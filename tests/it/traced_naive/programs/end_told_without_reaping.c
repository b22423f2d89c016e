// A child whose end is told without reaping it.
#include "small.h"

int main(void)
{
    int one = fork();
    if (!one) _exit(0);
    siginfo_t i;
    if (!fork()) {
        unlink("a");
        _exit(0);
    }
    waitid(P_ALL, 0, &i, WEXITED | WNOWAIT);
    int there = !access("a", F_OK);
    int first = i.si_pid == one;
    int w = wait(0) == one;
    wait(0);
    return first + 2 * w + 4 * there;
}
