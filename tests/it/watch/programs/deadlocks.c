/* Programs that are stuck for good, and programs that only look so. The argument says which. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static sem_t *one, *other;
static pthread_mutex_t a = PTHREAD_MUTEX_INITIALIZER, b = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t both;

static void post(int signal) { (void)signal; sem_post(one); }

static void *back(void *unused) {
    pthread_mutex_lock(&b);
    pthread_barrier_wait(&both);
    pthread_mutex_lock(&a);
    return unused;
}

static void *wait_one(void *unused) { sem_wait(one); return unused; }

static void *post_later(void *unused) {
    struct timespec second = {1, 0};
    ppoll(0, 0, &second, 0);
    sem_post(one);
    return unused;
}

/* Two processes that wait for each other; what the first has set lets it go on after a second. */
static void pair(void) {
    if (!fork()) { sem_wait(other); sem_post(one); _exit(0); }
    while (sem_wait(one)) ;
    sem_post(other);
    wait(0);
}

static int is(const char *what, char **arguments) { return !strcmp(arguments[1], what); }

int main(int n, char **arguments) {
    (void)n;
    sem_t *sems = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    one = sems, other = sems + 1;
    sem_init(one, 1, 0), sem_init(other, 1, 0);
    pthread_t thread;
    int fd[2];
    if (is("alarm", arguments)) {
        signal(SIGALRM, post), alarm(1), pair();
    } else if (is("itimer", arguments)) {
        struct itimerval second = {{0, 0}, {1, 0}};
        signal(SIGALRM, post), setitimer(ITIMER_REAL, &second, 0), pair();
    } else if (is("timer", arguments)) {
        struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
        struct itimerspec second = {{0, 0}, {1, 0}};
        timer_t timer;
        signal(SIGUSR1, post), timer_create(CLOCK_MONOTONIC, &event, &timer), timer_settime(timer, 0, &second, 0);
        pair();
    } else if (is("ppoll", arguments)) {
        pthread_create(&thread, 0, post_later, 0), pair(), pthread_join(thread, 0);
    } else if (is("handler", arguments)) {
        /* Waits for its own handler, as daemons do. */
        signal(SIGTERM, post);
        if (!fork()) { sleep(1); kill(getppid(), SIGTERM); _exit(0); }
        while (sem_wait(one)) ;
    } else if (is("own-end", arguments)) {
        pipe(fd);
        if (!fork()) { char byte; while (read(fd[0], &byte, 1) > 0) ; _exit(0); }
        close(fd[1]), wait(0);
    } else if (is("kept-ends", arguments)) {
        /* Nobody has closed anything. */
        pipe(fd);
        if (!fork()) { char byte; while (read(fd[0], &byte, 1) > 0) ; _exit(0); }
        wait(0);
    } else if (is("fifos", arguments)) {
        chdir(dirname(arguments[0])), mkfifo("x", 0600), mkfifo("y", 0600);
        if (!fork()) { open("x", O_RDONLY), open("y", O_WRONLY); _exit(0); }
        open("y", O_RDONLY), open("x", O_WRONLY);
    } else if (is("mutexes", arguments)) {
        pthread_barrier_init(&both, 0, 2);
        pthread_create(&thread, 0, back, 0);
        pthread_t forth;
        pthread_mutex_lock(&a), pthread_barrier_wait(&both), pthread_mutex_lock(&b);
    } else if (is("twice", arguments)) {
        pthread_mutex_lock(&a), pthread_mutex_lock(&a);
    } else if (is("no-post", arguments)) {
        pthread_create(&thread, 0, wait_one, 0), pthread_join(thread, 0);
    } else if (is("sockets", arguments)) {
        socketpair(1, 1, 0, fd);
        char byte;
        if (!fork()) { close(fd[0]); read(fd[1], &byte, 1); _exit(0); }
        close(fd[1]), read(fd[0], &byte, 1);
    }
    return 0;
}
