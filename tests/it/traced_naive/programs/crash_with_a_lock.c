// A process that crashes between its lock and its update, beside one that tries the lock.
#include "small.h"

int main(void)
{
    if (!fork()) {
        int a = open("a", O_RDWR);
        flock(a, LOCK_EX);
        abort();
    }
    int a = open("a", O_RDWR);
    int busy = flock(a, LOCK_EX | LOCK_NB);
    wait(0);
    return !!busy;
}
