/* A parent that ignores SIGCHLD: its child leaves no zombie, and no process takes its status. */
#include <signal.h>
#include <unistd.h>

int main(void) {
    signal(SIGCHLD, SIG_IGN);
    if (!fork()) {
        execlp("sleep", "sleep", "0.1", (char *)0);
        _exit(1);
    }
    usleep(300000);
    return 0;
}
