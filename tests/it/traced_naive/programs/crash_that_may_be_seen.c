// A child that crashes after its last write, which its parent may see before the end.
#include "small.h"

int main(void)
{
    if (!fork()) {
        close(open("made", O_CREAT | O_WRONLY, 0600));
        abort();
    }
    int missing = access("made", F_OK);
    int ended = waitpid(-1, 0, WNOHANG) > 0;
    if (!ended)
        wait(0);
    return !!missing * 2 + ended;
}
