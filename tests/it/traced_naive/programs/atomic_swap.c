// Two atomic exchanges and a load.
#include "small.h"

int main(void)
{
    int *n = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (int i = 1; i < 3; i++)
        if (!fork())
            _exit(__atomic_exchange_n(n, i, __ATOMIC_SEQ_CST));
    int seen = __atomic_load_n(n, __ATOMIC_SEQ_CST);
    wait(0);
    wait(0);
    return seen;
}
