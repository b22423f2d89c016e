// Parent and child read from one open file description.
#include "small.h"

int main(void)
{
    int f = open("a", O_RDWR);
    write(f, "123", 3);
    lseek(f, 0, SEEK_SET);
    if (!fork()) {
        char b;
        read(f, &b, 1);
        _exit(b - '0');
    }
    char b;
    read(f, &b, 1);
    wait(0);
    return b - '0';
}
