/* buffer ITEMS ROOM CONSUMERS: a producer puts the items 1, 2, … into a buffer in shared memory with room for ROOM of
   them; consumers take them out. A consumer that takes a 0 has eaten enough, and ends.

   `empty` counts the free places, `full` the items, and `mutex` guards the buffer. Each waits for its own semaphore before
   it takes the mutex: who waits while holding the mutex would keep out the one that it waits for. */
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

struct buffer {
    sem_t empty, full, mutex;
    int room, in, out;
    int item[100];
};

static void put(struct buffer *b, int item)
{
    sem_wait(&b->empty);
    sem_wait(&b->mutex);
    b->item[b->in++ % b->room] = item;
    sem_post(&b->mutex);
    sem_post(&b->full);
}

static int take(struct buffer *b)
{
    sem_wait(&b->full);
    sem_wait(&b->mutex);
    int item = b->item[b->out++ % b->room];
    sem_post(&b->mutex);
    sem_post(&b->empty);
    return item;
}

static void consume(struct buffer *b)
{
    usleep(20000); /* lays the table */
    for (int item; (item = take(b)) != 0;)
        dprintf(1, "ate %d\n", item);
}

int main(int argc, char **argv)
{
    if (argc != 4 || atoi(argv[2]) < 1 || atoi(argv[2]) > 100)
        return 2;
    int items = atoi(argv[1]), consumers = atoi(argv[3]);
    struct buffer *b = mmap(NULL, sizeof *b, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (b == MAP_FAILED)
        return 1;
    b->room = atoi(argv[2]);
    sem_init(&b->empty, 1, b->room);
    sem_init(&b->full, 1, 0);
    sem_init(&b->mutex, 1, 1);
    for (int i = 0; i < consumers; i++)
        if (fork() == 0) {
            consume(b);
            _exit(0);
        }
    for (int i = 1; i <= items; i++)
        put(b, i);
    for (int i = 0; i < consumers; i++)
        put(b, 0);
    int status, worst = 0;
    while (wait(&status) > 0)
        if (status != 0)
            worst = 1;
    return worst;
}
