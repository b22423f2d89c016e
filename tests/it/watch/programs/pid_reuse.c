/* Two children one after the other with the same PID, which needs root and a PID namespace of its own. */
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static int child(int ms, int code) {
    int pid = fork();
    if (!pid) {
        usleep(ms * 1000);
        _exit(code);
    }
    waitpid(pid, 0, 0);
    return pid;
}

int main(void) {
    int first = child(60, 3);
    FILE *last = fopen("/proc/sys/kernel/ns_last_pid", "w");
    if (!last || fprintf(last, "%d", first - 1) < 0 || fclose(last)) {
        fprintf(stderr, "left out\n");
        return 0;
    }
    return child(100, 5) == first ? 0 : 1;
}
