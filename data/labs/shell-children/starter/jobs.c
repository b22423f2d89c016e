/* jobs N [SECONDS]: a shell without words. It starts N jobs, each of which sleeps so long and ends; it keeps their PIDs in
   a table, from which the handler of SIGCHLD deletes them; and it waits until the table is empty.

   It has two mistakes: it adds a job that may have been deleted already, and it may sleep when nothing is left to wake it. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOST 64
static volatile pid_t job[MOST];

static void add(pid_t pid)
{
    for (int i = 0; i < MOST; i++)
        if (job[i] == 0) {
            job[i] = pid;
            return;
        }
}

static int left(void)
{
    int n = 0;
    for (int i = 0; i < MOST; i++)
        n += job[i] != 0;
    return n;
}

static void handler(int number)
{
    (void)number;
    pid_t pid;
    while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
        for (int i = 0; i < MOST; i++)
            if (job[i] == pid)
                job[i] = 0;
}

int main(int argc, char **argv)
{
    int n = argc > 1 ? atoi(argv[1]) : 1;
    double seconds = argc > 2 ? atof(argv[2]) : 0;
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    sigaction(SIGCHLD, &action, NULL);
    for (int i = 0; i < n && i < MOST; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            if (seconds > 0)
                usleep((useconds_t)(seconds * 1e6));
            _exit(0);
        }
        add(pid);
    }
    while (left() > 0)
        pause();
    printf("jobs left: %d\n", left());
    return 0;
}
