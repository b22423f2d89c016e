// A file is truncated while another reads it.
#include "small.h"

int main(void)
{
    if (!fork()) {
        truncate("a", 0);
        int f = open("a", O_WRONLY);
        write(f, "2", 1);
        _exit(0);
    }
    char b = '?';
    int f = open("a", O_RDONLY);
    int n = read(f, &b, 1);
    wait(0);
    return n < 1 ? 9 : b - '0';
}
