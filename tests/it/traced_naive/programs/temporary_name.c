// Two writers of one temporary name, which each renames.
#include "small.h"

int main(void)
{
    for (int i = 0; i < 2; i++)
        if (!fork()) {
            int f = open("t", O_CREAT | O_TRUNC | O_WRONLY, 0600);
            write(f, i ? "x" : "y", 1);
            _exit(rename("t", "a") ? 1 : 0);
        }
    wait(0);
    wait(0);
    return 0;
}
