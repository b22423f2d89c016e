// Record locks of lockf around an update.
#include "small.h"

int main(void)
{
    for (int i = 0; i < 2; i++)
        if (!fork()) {
            char b = 0;
            int a = open("a", O_RDWR);
            lockf(a, F_LOCK, 1);
            pread(a, &b, 1, 0);
            b++;
            pwrite(a, &b, 1, 0);
            _exit(b - '0');
        }
    wait(0);
    wait(0);
    return 0;
}
