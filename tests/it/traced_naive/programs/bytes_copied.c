// Bytes are copied from a file that another process changes.
#include "small.h"

int main(void)
{
    int a = open("a", O_RDONLY), b = open("b", O_RDWR);
    if (!fork()) {
        pwrite(open("a", O_WRONLY), "2", 1, 0);
        _exit(0);
    }
    copy_file_range(a, 0, b, 0, 1, 0);
    wait(0);
    return 0;
}
