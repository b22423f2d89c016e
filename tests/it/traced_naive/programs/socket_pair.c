// Messages both ways over a pair of sockets, and its end.
#include "small.h"

int main(void)
{
    int s[2];
    socketpair(AF_UNIX, SOCK_STREAM, 0, s);
    if (!fork()) {
        close(s[0]);
        write(s[1], "x", 1);
        _exit(0);
    }
    close(s[1]);
    int sent = send(s[0], "y", 1, MSG_NOSIGNAL);
    char b;
    int n = read(s[0], &b, 1);
    wait(0);
    return (sent < 0) * 2 + (n < 0);
}
