// A child works in a folder that its parent removes.
#include "small.h"

int main(void)
{
    mkdir("d", 0700);
    if (!fork()) {
        if (chdir("d"))
            _exit(1);
        _exit(open("x", O_CREAT | O_WRONLY, 0600) < 0 ? 2 : 0);
    }
    int kept = rmdir("d");
    int status;
    wait(&status);
    return WEXITSTATUS(status) * 2 + !!kept;
}
