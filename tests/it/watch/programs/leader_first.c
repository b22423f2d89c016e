/* The leader ends at once; the other thread sleeps for 0.3 s and is busy for 0.1 s. */
#include <pthread.h>
#include <time.h>
#include <unistd.h>

static void *outlive(void *unused) {
    struct timespec t;
    usleep(300000);
    do clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); while (t.tv_nsec < 100000000);
    return unused;
}

int main(void) {
    pthread_t thread;
    pthread_create(&thread, 0, outlive, 0);
    pthread_exit(0);
}
