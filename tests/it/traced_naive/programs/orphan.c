// A grandchild that its parent leaves behind.
#include "small.h"

int main(void)
{
    if (!fork()) {
        if (!fork()) {
            int f = open("b", O_WRONLY | O_APPEND);
            write(f, "x", 1);
            _exit(0);
        }
        _exit(0);
    }
    wait(0);
    struct stat s;
    stat("b", &s);
    return s.st_size;
}
