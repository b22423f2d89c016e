// A folder is renamed while a name below it is looked for.
#include "small.h"

int main(void)
{
    mkdir("d", 0700);
    close(open("d/x", O_CREAT | O_WRONLY, 0600));
    if (!fork()) {
        rename("d", "e");
        _exit(0);
    }
    int one = access("d/x", F_OK), two = access("e/x", F_OK);
    wait(0);
    return !!one * 2 + !!two;
}
