// A folder is listed while names appear in it.
#include "small.h"

int main(void)
{
    mkdir("d", 0700);
    if (!fork()) {
        close(open("d/x", O_CREAT | O_WRONLY, 0600));
        close(open("d/y", O_CREAT | O_WRONLY, 0600));
        _exit(0);
    }
    DIR *d = opendir("d");
    int n = 0;
    while (readdir(d))
        n++;
    wait(0);
    return n;
}
