// The parent of a working folder that is moved.
#include "small.h"

int main(void)
{
    mkdir("d", 0700);
    mkdir("e", 0700);
    chdir("d");
    if (!fork()) {
        rename("../d", "../e/d");
        _exit(0);
    }
    int f = open("../x", O_CREAT | O_WRONLY, 0600);
    wait(0);
    return f < 0;
}
