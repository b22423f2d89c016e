// Two senders of datagrams, whose order the receiver sees.
#include "small.h"

int main(void)
{
    int s[2];
    socketpair(AF_UNIX, SOCK_DGRAM, 0, s);
    for (int i = 0; i < 2; i++) if (!fork()) {
        send(s[1], i ? "x" : "y", 1, 0);
        _exit(0);
    }
    char b;
    recv(s[0], &b, 1, 0);
    wait(0);
    wait(0);
    return b == 'x';
}
