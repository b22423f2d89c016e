// Two senders and one receiver of a POSIX message queue.
#include "small.h"

int main(void)
{
    struct mq_attr attr = {.mq_maxmsg = 2, .mq_msgsize = 1};
    mqd_t q = mq_open("/small", O_CREAT | O_RDWR, 0600, &attr);
    mq_unlink("/small");
    for (int i = 0; i < 2; i++)
        if (!fork()) {
            mq_send(q, i ? "x" : "y", 1, 0);
            _exit(0);
        }
    char b;
    mq_receive(q, &b, 1, 0);
    wait(0);
    wait(0);
    return b == 'x';
}
