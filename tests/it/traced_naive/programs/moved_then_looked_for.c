// A file that is moved away and back while it is looked for.
#include "small.h"

int main(void)
{
    if (!fork()) {
        rename("a", "c");
        rename("c", "a");
        _exit(0);
    }
    int gone = access("a", F_OK);
    int there = access("c", F_OK);
    wait(0);
    return !!gone * 2 + !!there;
}
