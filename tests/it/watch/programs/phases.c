/* A program whose truth is known. Each argument is a thread's script, the first one the main thread's: a letter
 * and a number of milliseconds for each phase. At its end it prints what each thread did, by its own clocks and by
 * the kernel's sums.
 *
 *   b busy, by the thread's own CPU clock     s asleep
 *   r reads from a pipe that a child writes   u receives from a socket that a child sends to
 *   f wants a file lock that a child holds    x wants a semaphore that a child posts
 *   c waits for a child                       t stopped, until a child continues it
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct phase { char what; long long ns; };
struct account { long tid; int n; struct phase phases[64]; long long cpu, ready, cpu_before, ready_before; const char *script; };

static long long now(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* The kernel's time in line for a CPU. Its time on one lags behind by a tick; the clock's does not. */
static long long ready(void) {
    char text[100];
    long long ran, waited = 0;
    int file = open("/proc/thread-self/schedstat", O_RDONLY);
    long length = read(file, text, sizeof text - 1);
    text[length > 0 ? length : 0] = 0;
    sscanf(text, "%lld %lld", &ran, &waited);
    close(file);
    return waited;
}

static void rest(int ms) { usleep(ms * 1000); }

static void play(char what, int ms) {
    int fd[2], child, lock;
    char byte, path[] = "/tmp/phasesXXXXXX";
    sem_t *sem;
    switch (what) {
    case 'b': {
        long long end = now(CLOCK_THREAD_CPUTIME_ID) + ms * 1000000LL;
        while (now(CLOCK_THREAD_CPUTIME_ID) < end) ;
        return;
    }
    case 's': rest(ms); return;
    case 'r': pipe(fd);
        if (!(child = fork())) { rest(ms); write(fd[1], "x", 1); _exit(0); }
        read(fd[0], &byte, 1); break;
    case 'u': socketpair(AF_UNIX, SOCK_STREAM, 0, fd);
        if (!(child = fork())) { rest(ms); write(fd[1], "x", 1); _exit(0); }
        recv(fd[0], &byte, 1, 0); break;
    case 'f': lock = mkstemp(path);
        pipe(fd);
        if (!(child = fork())) {
            int own = open(path, O_RDWR);
            flock(own, LOCK_EX); write(fd[1], "x", 1); rest(ms); _exit(0);
        }
        read(fd[0], &byte, 1); flock(lock, LOCK_EX); unlink(path); break;
    case 'x': sem = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        sem_init(sem, 1, 0);
        if (!(child = fork())) { rest(ms); sem_post(sem); _exit(0); }
        sem_wait(sem); break;
    case 'c':
        if (!(child = fork())) { rest(ms); _exit(0); }
        break;
    case 't': {
        int own = getpid();
        if (!(child = fork())) { rest(ms); kill(own, SIGCONT); _exit(0); }
        raise(SIGSTOP); break;
    }
    default: return;
    }
    waitpid(child, 0, 0);
}

static void *thread(void *argument) {
    struct account *account = argument;
    const char *at = account->script;
    account->tid = syscall(SYS_gettid);
    while (*at) {
        char what = *at++;
        int ms = strtol(at, (char **)&at, 10);
        long long begin = now(CLOCK_MONOTONIC);
        play(what, ms);
        account->phases[account->n++] = (struct phase){what, now(CLOCK_MONOTONIC) - begin};
        while (*at == ' ') at++;
    }
    if (account->tid != getpid()) {
        account->cpu = now(CLOCK_THREAD_CPUTIME_ID);
        account->ready = ready();
    }
    return 0;
}

static void tell(struct account *account) {
    printf("%ld %lld %lld %lld %lld", account->tid, account->cpu - account->cpu_before, account->cpu,
           account->ready - account->ready_before, account->ready);
    for (int p = 0; p < account->n; p++) printf(" %c %lld", account->phases[p].what, account->phases[p].ns);
    printf("\n");
}

int main(int n, char **script) {
    static struct account accounts[100];
    /* Somewhere in this lies its exec, from which a watched command counts. */
    accounts[1].cpu_before = now(CLOCK_THREAD_CPUTIME_ID);
    accounts[1].ready_before = ready();
    pthread_t threads[100];
    for (int i = 2; i < n; i++) {
        accounts[i].script = script[i];
        pthread_create(&threads[i], 0, thread, &accounts[i]);
    }
    accounts[1].script = n > 1 ? script[1] : "";
    thread(&accounts[1]);
    for (int i = 2; i < n; i++) pthread_join(threads[i], 0);
    for (int i = 2; i < n; i++) tell(&accounts[i]);
    accounts[1].ready = ready();
    accounts[1].cpu = now(CLOCK_THREAD_CPUTIME_ID);
    tell(&accounts[1]);
    fflush(stdout);
    _exit(0);
}
