/* Threads and processes that wait in ways that are told by what lies around the object they wait for, or by what lets a
 * signal in. The argument says which; it prints the address of the object, or the PID of the child. */
#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static sem_t semaphore;
static int rounds;

static void *post(void *what) {
    for (int i = 0; i < 2; i++) {
        usleep(150000);
        switch (*(char *)what) {
        case 'c': pthread_mutex_lock(&mutex), rounds++, pthread_cond_signal(&condition), pthread_mutex_unlock(&mutex); break;
        case 's': sem_post(&semaphore); break;
        case 'b': pthread_barrier_wait(&barrier); break;
        }
    }
    return 0;
}

static void *lock(void *unused) {
    pthread_mutex_lock(&mutex);
    printf("%ld ", syscall(SYS_gettid));
    return unused;
}

static void ended(int signal) { (void)signal; }

int main(int n, char **arguments) {
    char *what = arguments[1];
    pthread_t other;
    sem_init(&semaphore, 0, 0), pthread_barrier_init(&barrier, 0, 2);
    if (strchr("csb", *what)) pthread_create(&other, 0, post, what);
    switch (*what) {
    case 'c': /* Twice, so that both of its groups are waited for. */
        printf("%p\n", (void *)&condition);
        pthread_mutex_lock(&mutex);
        while (rounds < 2) pthread_cond_wait(&condition, &mutex);
        pthread_mutex_unlock(&mutex);
        break;
    case 's': printf("%p\n", (void *)&semaphore), sem_wait(&semaphore), sem_wait(&semaphore); break;
    case 'b': printf("%p\n", (void *)&barrier), pthread_barrier_wait(&barrier), pthread_barrier_wait(&barrier); break;
    case 'j': { /* As make waits: for a token in a pipe of its own, or for the end of a child. */
        int fd[2];
        sigset_t child, none;
        fd_set set;
        sigemptyset(&child), sigemptyset(&none), sigaddset(&child, SIGCHLD);
        sigprocmask(SIG_BLOCK, &child, 0), signal(SIGCHLD, ended);
        pipe(fd);
        int pid = fork();
        if (!pid) { close(fd[0]), close(fd[1]), usleep(300000), _exit(0); }
        printf("%d\n", pid);
        FD_ZERO(&set);
        FD_SET(fd[0], &set);
        pselect(fd[0] + 1, &set, 0, 0, 0, &none);
        wait(0);
    } break;
    case 'p': { /* As sudo waits: for a byte in a pipe of its own, which its handler of SIGCHLD could write. */
        struct pollfd pipes = {.events = POLLIN};
        int fd[2];
        pipe(fd), pipes.fd = fd[0];
        signal(SIGCHLD, ended);
        int pid = fork();
        if (!pid) { close(fd[0]), close(fd[1]), usleep(300000), _exit(0); }
        printf("%d\n", pid);
        poll(&pipes, 1, -1);
        wait(0);
    } break;
    case 'o': /* A thread ends with a mutex that another one wants. */
        pthread_create(&other, 0, lock, 0);
        pthread_join(other, 0);
        printf("%p", (void *)&mutex), fflush(stdout);
        pthread_mutex_lock(&mutex);
        break;
    case 't': /* The main thread ends first; another one outlives it. */
        pthread_create(&other, 0, post, "s");
        usleep(50000);
        pthread_exit(0);
    case 'l': /* A main thread that runs for a third of its life ends the process while eight others sleep. */
        for (int i = 0; i < 8; i++) pthread_create(&other, 0, post, "n");
        for (clock_t begin = clock(); clock() - begin < CLOCKS_PER_SEC / 10;) ;
        usleep(100000);
    }
    return 0;
}
