// An eventfd that two add to and one reads once.
#include "small.h"

int main(void)
{
    int e = eventfd(0, 0);
    for (int i = 0; i < 2; i++)
        if (!fork()) {
            uint64_t one = 1 + i;
            write(e, &one, 8);
            _exit(0);
        }
    uint64_t n;
    read(e, &n, 8);
    wait(0);
    wait(0);
    return n;
}
