// Two processes append through one open file description.
#include "small.h"

int main(void)
{
    int f = open("b", O_RDWR | O_APPEND);
    if (!fork()) {
        write(f, "x", 1);
        _exit(0);
    }
    write(f, "y", 1);
    int at = lseek(f, 0, SEEK_CUR);
    wait(0);
    return at;
}
