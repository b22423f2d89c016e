/* A process with two threads that takes long to free its memory at its end. Its parent prints for how long, at most, it was
   a zombie, and how long freeing as much memory takes. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { BYTES = 256 << 20 };

static long now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000L + t.tv_nsec;
}

static volatile char *touched(void) {
    volatile char *memory = mmap(0, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (long at = 0; at < BYTES; at += 4096) memory[at] = 1;
    return memory;
}

static void *idle(void *none) {
    pause();
    return none;
}

int main(void) {
    int child = fork();
    if (!child) {
        pthread_t thread;
        pthread_create(&thread, 0, idle, 0);
        volatile char *memory = touched();
        long begin = now();
        munmap((void *)memory, BYTES);
        long freed = now() - begin;
        touched();
        fprintf(stderr, "%ld ", freed);
        _exit(0);
    }
    siginfo_t info;
    waitid(P_PID, child, &info, WEXITED | WNOWAIT);
    long ended = now();
    usleep(50000);
    waitpid(child, 0, 0);
    fprintf(stderr, "%ld\n", now() - ended);
    return 0;
}
