/* A program whose truth is known. Each argument is a thread's script, the first one the main thread's: a letter
 * and a number of milliseconds for each phase. With `-p N` in front, N children play the scripts and the parent waits
 * for them. With `-d` it may not be inspected by its user's other processes. At its end each process prints a line for each thread: its TID, when it began and when it looked at its
 * sums for the last time (CLOCK_MONOTONIC), its time on and in line for a CPU between the two, and each phase with its
 * length.
 *
 *   b busy, by the thread's own CPU clock     s asleep
 *   r reads from a pipe that a child writes   u receives from a socket that a child sends to
 *   f wants a file lock that a child holds    x wants a semaphore that a child posts
 *   c waits for a child                       t stopped, until a child continues it
 *   v waits for a child of vfork to exec      m wants a mutex that another thread holds
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
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct phase { char what; long long ns; };
struct account { long tid; int n; struct phase phases[64]; long long begun, looked, cpu, ready; const char *script; };

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

static int is_stopped(int pid) {
    char path[40], letter = 0;
    sprintf(path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "r");
    if (!file) _exit(1);
    fscanf(file, "%*d %*s %c", &letter);
    fclose(file);
    return letter == 'T';
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t held;

static void *hold(void *ms) {
    pthread_mutex_lock(&mutex);
    pthread_barrier_wait(&held);
    rest(*(int *)ms);
    pthread_mutex_unlock(&mutex);
    return 0;
}

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
        if (!(child = fork())) { while (!is_stopped(own)) rest(1); rest(ms); kill(own, SIGCONT); _exit(0); }
        raise(SIGSTOP); break;
    }
    case 'v': {
        if (!(child = vfork())) {
            /* The child of vfork has the parent's memory, so it sleeps before its exec without touching it. */
            struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
            nanosleep(&t, 0);
            execlp("true", "true", (char *)0);
            _exit(127);
        }
        break;
    }
    case 'm': {
        pthread_t holder;
        pthread_barrier_init(&held, 0, 2);
        pthread_create(&holder, 0, hold, &ms);
        pthread_barrier_wait(&held);
        pthread_mutex_lock(&mutex), pthread_mutex_unlock(&mutex);
        pthread_join(holder, 0);
        return;
    }
    default: return;
    }
    waitpid(child, 0, 0);
}

static void *thread(void *argument) {
    struct account *account = argument;
    const char *at = account->script;
    account->tid = syscall(SYS_gettid);
    long long ready_before = ready(), cpu_before = now(CLOCK_THREAD_CPUTIME_ID);
    account->begun = now(CLOCK_MONOTONIC);
    while (*at) {
        char what = *at++;
        int ms = strtol(at, (char **)&at, 10);
        long long begin = now(CLOCK_MONOTONIC);
        play(what, ms);
        account->phases[account->n++] = (struct phase){what, now(CLOCK_MONOTONIC) - begin};
        while (*at == ' ') at++;
    }
    account->looked = now(CLOCK_MONOTONIC);
    account->cpu = now(CLOCK_THREAD_CPUTIME_ID) - cpu_before;
    account->ready = ready() - ready_before;
    return 0;
}

static void scripts(int n, char **script) {
    static struct account accounts[100];
    static char text[100 * 1000];
    pthread_t threads[100];
    int length = 0;
    for (int i = 1; i < n; i++) {
        accounts[i].script = script[i];
        pthread_create(&threads[i], 0, thread, &accounts[i]);
    }
    accounts[0].script = script[0];
    thread(&accounts[0]);
    for (int i = 1; i < n; i++) pthread_join(threads[i], 0);
    for (int i = 0; i < n; i++) {
        struct account *of = &accounts[i];
        length += sprintf(text + length, "%ld %lld %lld %lld %lld", of->tid, of->begun, of->looked, of->cpu, of->ready);
        for (int p = 0; p < of->n; p++) length += sprintf(text + length, " %c %lld", of->phases[p].what, of->phases[p].ns);
        text[length++] = '\n';
    }
    /* In one piece, for others write there too. */
    write(1, text, length);
}

int main(int n, char **script) {
    if (n > 2 && !strcmp(script[1], "-d")) prctl(PR_SET_DUMPABLE, 0), n--, script++;
    if (n > 3 && !strcmp(script[1], "-p")) {
        int children = atoi(script[2]);
        for (int i = 0; i < children; i++) {
            if (!fork()) { scripts(n - 3, script + 3); _exit(0); }
        }
        while (wait(0) > 0) ;
    } else {
        scripts(n - 1, script + 1);
    }
    _exit(0);
}
