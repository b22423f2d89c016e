// Two readers' locks that both become writers' locks without waiting.
#include "small.h"

int main(void)
{
    for (int i = 0; i < 2; i++)
        if (!fork()) {
            int a = open("a", O_RDWR);
            flock(a, LOCK_SH);
            _exit(flock(a, LOCK_EX | LOCK_NB) ? 1 : 0);
        }
    wait(0);
    wait(0);
    return 0;
}
