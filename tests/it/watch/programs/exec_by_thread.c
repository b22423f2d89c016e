/* A thread that is not the leader becomes another program: the file and its arguments are this one's. */
#include <pthread.h>
#include <unistd.h>

static char **program;

static void *become(void *unused) {
    (void)unused;
    usleep(30000);
    execvp(program[0], program);
    _exit(1);
}

int main(int n, char **arguments) {
    pthread_t thread;
    (void)n;
    program = arguments + 1;
    pthread_create(&thread, 0, become, 0);
    pause();
}
