// Which of two pipes poll reports.
#include "small.h"

int main(void)
{
    int p[2], q[2];
    pipe(p);
    pipe(q);
    if (!fork()) {
        write(p[1], "x", 1);
        _exit(0);
    }
    if (!fork()) {
        write(q[1], "x", 1);
        _exit(0);
    }
    struct pollfd fds[2] = {{p[0], POLLIN}, {q[0], POLLIN}};
    poll(fds, 2, -1);
    int seen = !!fds[0].revents + 2 * !!fds[1].revents;
    wait(0);
    wait(0);
    return seen;
}
