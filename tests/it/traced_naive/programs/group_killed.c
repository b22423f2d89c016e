// A group is killed that its only member may not have made yet.
#include "small.h"

int main(void)
{
    int c = fork();
    if (!c) {
        setpgid(0, 0);
        pause();
        _exit(0);
    }
    int gone = kill(-c, SIGKILL);
    if (gone) kill(c, SIGKILL);
    int s;
    wait(&s);
    return !!gone;
}
