//! *Complete* is said of what is explored to the end only: programs whose exit statuses are known by reason, and others
//! that do what is not under control.

use crate::common::trials;
use crate::traced::{HEAD, Place};
use libtest_mimic::Trial;
use serde_json::Value;
use std::collections::BTreeSet;

pub(crate) fn tests() -> Vec<Trial> {
    trials!["traced_sound":
        every_outcome_of_small_programs_is_found,
        what_is_not_under_control_is_named,
    ]
}

/// What the programs below have in common: handlers, and what they change.
const COMMON: &str = r"
#include <limits.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/xattr.h>
static volatile int n, many[64];
static volatile struct utsname system_is;
static volatile char kept;
static sigjmp_buf back;
static void nothing(int s) {}
static void leave1(int s) { _exit(1); }
static void leave2(int s) { _exit(2); }
static void leave7(int s) { _exit(7); }
static void add10(int s) { n += 10; }
static void keep(int s) { kept = system_is.sysname[0]; }
static void tell(int s) { _exit(system_is.sysname[0] ? 1 : 0); }
static void see(int s) { _exit(n); }
static void next(int s) { _exit(dup(0)); }
static void all(int s) { for (int i = 0; i < 64; i++) many[i]++; }
static void jump(int s) { siglongjmp(back, 1); }
static int status_of(pid_t p) { int s; while (waitpid(p, &s, 0) < 0) ; return WEXITSTATUS(s); }
static void *shared(void) { return mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0); }
";

/// Explores the programs in one executable.
fn explore_all(name: &str, programs: &[(&str, &str)], mut see: impl FnMut(&str, &Value)) {
    let place = Place::new(name, &[("a", "1")]);
    let cases: String = programs
        .iter()
        .map(|(name, body)| format!("if (!strcmp(argv[1], {name:?})) {{ {body} }}\n"))
        .collect();
    let source = format!("{HEAD}{COMMON}int main(int argc, char **argv) {{ {cases} return 99; }}");
    let Some(program) = place.compile(&source) else { return };
    for (name, _) in programs {
        let view = place.explore(&["--budget", "2000"], &[&program, name]);
        see(name, &view);
    }
}

fn exits(view: &Value) -> BTreeSet<i64> {
    let exit = |outcome: &Value| outcome["exit"]["root"].as_i64().unwrap_or(DEADLOCK);
    view["outcomes"].as_array().unwrap().iter().map(exit).collect()
}

/// It does not end.
const DEADLOCK: i64 = -99;

/// Programs, and all exit statuses that they can have.
const KNOWN: &[(&str, &str, &[i64])] = &[
    (
        "a signal that is ignored, or handled later",
        r#"signal(SIGUSR1, SIG_IGN);
        pid_t p = fork();
        if (!p) {
            close(open("b", O_CREAT | O_WRONLY, 0600));
            signal(SIGUSR1, leave7);
            close(open("c", O_CREAT | O_WRONLY, 0600));
            _exit(0);
        }
        kill(p, SIGUSR1);
        return status_of(p);"#,
        &[0, 7],
    ),
    (
        "a child that ends before its parent listens",
        r#"int p[2]; pipe(p);
        if (!fork()) { write(p[1], "x", 1); _exit(0); }
        char b; read(p[0], &b, 1);
        signal(SIGCHLD, nothing);
        pause();
        return 0;"#,
        &[DEADLOCK, 0],
    ),
    (
        "a handler amid an addition",
        r#"signal(SIGUSR1, add10);
        pid_t parent = getpid();
        if (!fork()) { kill(parent, SIGUSR1); _exit(0); }
        n = n + 1;
        while (wait(0) < 0) ;
        return n;"#,
        &[1, 11],
    ),
    (
        "a handler between two of three assignments",
        r#"signal(SIGUSR1, see);
        pid_t parent = getpid();
        if (!fork()) { kill(parent, SIGUSR1); _exit(0); }
        n = 3; n = 4; n = 5;
        while (wait(0) < 0) ;
        return 9;"#,
        &[0, 3, 4, 5],
    ),
    (
        "a handler that is blocked meanwhile",
        r#"sigset_t usr1; sigemptyset(&usr1); sigaddset(&usr1, SIGUSR1);
        signal(SIGUSR1, add10);
        pid_t parent = getpid();
        if (!fork()) { kill(parent, SIGUSR1); _exit(0); }
        sigprocmask(SIG_BLOCK, &usr1, 0);
        n = n + 1;
        sigprocmask(SIG_UNBLOCK, &usr1, 0);
        while (wait(0) < 0) ;
        return n;"#,
        &[11],
    ),
    (
        "a call that fills a variable of a handler",
        r#"signal(SIGUSR1, keep);
        pid_t parent = getpid();
        if (!fork()) { kill(parent, SIGUSR1); _exit(0); }
        uname((struct utsname *)&system_is);
        while (wait(0) < 0) ;
        return kept ? 1 : 0;"#,
        &[0, 1],
    ),
    (
        "a call that fills a variable before a handler ends",
        r#"signal(SIGUSR1, tell);
        pid_t parent = getpid();
        if (!fork()) { kill(parent, SIGUSR1); _exit(0); }
        uname((struct utsname *)&system_is);
        while (wait(0) < 0) ;
        return 9;"#,
        &[0, 1],
    ),
    (
        "one handler after the other",
        r#"signal(SIGUSR1, leave1);
        pid_t parent = getpid();
        if (!fork()) { kill(parent, SIGUSR1); _exit(0); }
        signal(SIGUSR1, leave2);
        while (wait(0) < 0) ;
        return 3;"#,
        &[1, 2],
    ),
    (
        "a handler that meets descriptors",
        r#"signal(SIGUSR1, next);
        pid_t parent = getpid();
        if (!fork()) { kill(parent, SIGUSR1); _exit(0); }
        dup(0); dup(0);
        while (wait(0) < 0) ;
        return 9;"#,
        &[3, 4, 5],
    ),
    (
        "a sleep that a signal interrupts",
        r#"signal(SIGUSR1, nothing);
        pid_t parent = getpid();
        if (!fork()) { kill(parent, SIGUSR1); _exit(0); }
        int r = !!sleep(5);
        while (wait(0) < 0) ;
        return r;"#,
        &[0, 1],
    ),
    (
        "children that the kernel reaps",
        r#"signal(SIGCHLD, SIG_IGN);
        if (!fork()) _exit(3);
        int r = wait(0);
        return r == -1 && errno == ECHILD ? 0 : 1;"#,
        &[0],
    ),
    (
        "a third wait for two children",
        r#"siginfo_t i; int r = 0;
        if (!fork()) _exit(0);
        if (!fork()) _exit(0);
        for (int k = 0; k < 3; k++) r = waitid(P_ALL, 0, &i, WEXITED);
        return r == -1 && errno == ECHILD ? 4 : 5;"#,
        &[4],
    ),
    (
        "a folder that is renamed under its user",
        r#"mkdir("d", 0700); chdir("d");
        if (!fork()) { close(open("x", O_CREAT | O_WRONLY, 0600)); _exit(0); }
        rename("../d", "../e");
        int r = access("../e/x", F_OK); wait(0);
        return !!r;"#,
        &[0, 1],
    ),
    (
        "the name of the working folder",
        r#"char here[PATH_MAX]; mkdir("d", 0700); chdir("d");
        if (!fork()) { rename("../d", "../e"); _exit(0); }
        getcwd(here, sizeof here); wait(0);
        return here[strlen(here) - 1] == 'e';"#,
        &[0, 1],
    ),
    (
        "a file that one maps and the other reads",
        r#"pid_t p = fork();
        if (!p) {
            int f = open("a", O_RDWR);
            volatile char *m = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, f, 0);
            *m = '2'; *m = '3'; _exit(0);
        }
        char b = 0; int f = open("a", O_RDONLY); read(f, &b, 1); wait(0);
        return b - '0';"#,
        &[1, 2, 3],
    ),
    (
        "a memory file",
        r#"int f = memfd_create("m", 0); ftruncate(f, 4096);
        for (int i = 0; i < 2; i++) if (!fork()) {
            volatile int *m = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, f, 0);
            *m = *m + 1; _exit(0);
        }
        wait(0); wait(0); int k = 0; pread(f, &k, 4, 0);
        return k;"#,
        &[1, 2],
    ),
    (
        "the process group of a child",
        r#"pid_t p = fork();
        if (!p) _exit(getpgid(0) == getpid());
        setpgid(p, 0);
        return status_of(p);"#,
        &[0, 1],
    ),
    (
        "the priority of a child",
        r#"pid_t p = fork();
        if (!p) _exit(getpriority(PRIO_PROCESS, 0));
        setpriority(PRIO_PROCESS, p, 5);
        return status_of(p);"#,
        &[0, 5],
    ),
    (
        "a flag of a description that both have",
        r#"int p[2]; pipe(p);
        pid_t c = fork();
        if (!c) { char b; _exit(read(p[0], &b, 1) == 1 ? 1 : 2); }
        fcntl(p[0], F_SETFL, O_NONBLOCK);
        write(p[1], "x", 1);
        return status_of(c);"#,
        &[1, 2],
    ),
    (
        "a lock that ends where another program begins",
        r#"int p[2], q[2]; pipe2(p, O_CLOEXEC); pipe(q);
        if (!fork()) {
            int f = open("a", O_RDWR | O_CLOEXEC); flock(f, LOCK_EX); write(p[1], "x", 1);
            close(q[1]); dup2(q[0], 0); execl("/bin/cat", "cat", (char *)0); _exit(9);
        }
        char b; read(p[0], &b, 1);
        int f = open("a", O_RDWR), r = flock(f, LOCK_EX | LOCK_NB);
        close(q[1]); wait(0);
        return !!r;"#,
        &[0, 1],
    ),
    (
        "whether a process is there",
        r#"pid_t one = fork();
        if (!one) _exit(0);
        pid_t other = fork();
        if (!other) _exit(!!kill(one, 0));
        int s, r = 0;
        for (pid_t p; (p = wait(&s)) > 0;) if (p == other) r = WEXITSTATUS(s);
        return r;"#,
        &[0, 1],
    ),
    (
        "whether /proc has a process",
        r#"char path[32]; pid_t one = fork();
        if (!one) _exit(0);
        pid_t other = fork();
        snprintf(path, sizeof path, "/proc/%d", one);
        if (!other) _exit(!!access(path, F_OK));
        int s, r = 0;
        for (pid_t p; (p = wait(&s)) > 0;) if (p == other) r = WEXITSTATUS(s);
        return r;"#,
        &[0, 1],
    ),
    (
        "a socket that gets a name",
        r#"if (!fork()) {
            struct sockaddr_un u = {.sun_family = AF_UNIX, .sun_path = "s"};
            int s = socket(AF_UNIX, SOCK_STREAM, 0); bind(s, (void *)&u, sizeof u); _exit(0);
        }
        int r = access("s", F_OK); wait(0);
        return !!r;"#,
        &[0, 1],
    ),
    (
        "which of two pipes is ready",
        r#"int p[2], q[2]; pipe(p); pipe(q);
        if (!fork()) { write(p[1], "x", 1); _exit(0); }
        if (!fork()) { write(q[1], "x", 1); _exit(0); }
        struct pollfd fds[] = {{p[0], POLLIN}, {q[0], POLLIN}};
        poll(fds, 2, -1);
        int r = !!fds[0].revents + 2 * !!fds[1].revents; wait(0); wait(0);
        return r;"#,
        &[1, 2, 3],
    ),
    (
        "an event descriptor that counts",
        r#"int e = eventfd(0, 0); unsigned long k = 1;
        for (int i = 0; i < 2; i++) if (!fork()) { write(e, &k, 8); _exit(0); }
        read(e, &k, 8); wait(0); wait(0);
        return k;"#,
        &[1, 2],
    ),
    (
        "which of two messages is first",
        r#"struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
        socklen_t length = sizeof a;
        int s = socket(AF_INET, SOCK_DGRAM, 0);
        if (bind(s, (void *)&a, length) || getsockname(s, (void *)&a, &length)) return 8;
        for (char i = 1; i < 3; i++) if (!fork()) {
            sendto(socket(AF_INET, SOCK_DGRAM, 0), &i, 1, 0, (void *)&a, length); _exit(0);
        }
        char b = 0; recv(s, &b, 1, 0); wait(0); wait(0);
        return b;"#,
        &[1, 2],
    ),
    (
        "a client that may come too early or too late",
        r#"struct sockaddr_un u = {.sun_family = AF_UNIX, .sun_path = "s"};
        if (!fork()) {
            int s = socket(AF_UNIX, SOCK_STREAM, 0); bind(s, (void *)&u, sizeof u); listen(s, 1); _exit(0);
        }
        int r = connect(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&u, sizeof u); wait(0);
        return !!r;"#,
        &[0, 1],
    ),
    (
        "two writers of a socket pair",
        r#"int p[2]; socketpair(AF_UNIX, SOCK_STREAM, 0, p);
        for (char i = 1; i < 3; i++) if (!fork()) { write(p[1], &i, 1); _exit(0); }
        char b = 0; read(p[0], &b, 1); wait(0); wait(0);
        return b;"#,
        &[1, 2],
    ),
    (
        "epoll on a pipe, and one that stays empty",
        r#"int p[2], q[2], e = epoll_create1(0); pipe(p); pipe(q);
        struct epoll_event one = {EPOLLIN, {.u32 = 1}}, two = {EPOLLIN, {.u32 = 2}}, got;
        epoll_ctl(e, EPOLL_CTL_ADD, p[0], &one); epoll_ctl(e, EPOLL_CTL_ADD, q[0], &two);
        if (!fork()) { write(p[1], "x", 1); _exit(0); }
        epoll_wait(e, &got, 1, -1); wait(0);
        return got.data.u32;"#,
        &[1],
    ),
    (
        "a System V semaphore around a lost update",
        r#"int s = semget(IPC_PRIVATE, 1, 0600); semctl(s, 0, SETVAL, 1);
        for (int i = 0; i < 2; i++) if (!fork()) {
            char b; int f = open("a", O_RDWR); struct sembuf op = {0, -1, 0};
            semop(s, &op, 1);
            pread(f, &b, 1, 0); b++; pwrite(f, &b, 1, 0);
            op.sem_op = 1; semop(s, &op, 1); _exit(0);
        }
        wait(0); wait(0);
        char b; pread(open("a", O_RDONLY), &b, 1, 0);
        return b - '0';"#,
        &[3],
    ),
    (
        "a System V message queue",
        r#"struct { long type; char text; } m; int q = msgget(IPC_PRIVATE, 0600);
        for (int i = 1; i < 3; i++) if (!fork()) { m.type = i; msgsnd(q, &m, 1, 0); _exit(0); }
        msgrcv(q, &m, 1, 0, 0); wait(0); wait(0);
        return m.type;"#,
        &[1, 2],
    ),
    (
        "System V shared memory",
        r#"volatile int *m = shmat(shmget(IPC_PRIVATE, 4096, 0600), 0, 0);
        for (int i = 0; i < 2; i++) if (!fork()) { *m = *m + 1; _exit(0); }
        wait(0); wait(0);
        return *m;"#,
        &[1, 2],
    ),
    (
        "a POSIX message queue",
        r#"struct mq_attr a = {.mq_maxmsg = 2, .mq_msgsize = 1}; char b;
        mqd_t q = mq_open("/q", O_CREAT | O_RDWR, 0600, &a);
        for (char i = 1; i < 3; i++) if (!fork()) { mq_send(q, &i, 1, 0); _exit(0); }
        mq_receive(q, &b, 1, 0); wait(0); wait(0);
        return b;"#,
        &[1, 2],
    ),
    (
        "how much a folder holds is no secret of an order",
        r#"struct stat s;
        if (!fork()) { mkdir("d", 0700); _exit(0); }
        stat(".", &s); wait(0);
        return s.st_nlink;"#,
        &[2],
    ),
];

fn every_outcome_of_small_programs_is_found() {
    let programs: Vec<_> = KNOWN.iter().map(|(name, body, _)| (*name, *body)).collect();
    let mut wrong = Vec::new();
    explore_all("known", &programs, |name, view| {
        let known = KNOWN.iter().find(|known| known.0 == name).map(|known| known.2).unwrap();
        let expected: BTreeSet<i64> = known.iter().copied().collect();
        // A disturbed machine may make an execution be tried again, which is then named.
        let others = view["uncontrolled"].as_array().unwrap().iter();
        let others = others.filter(|it| !it["what"].as_str().unwrap().contains("went another way"));
        if view["ended"] != true || others.count() > 0 || exits(view) != expected {
            wrong.push(format!("{name}: {:?} for {expected:?}, {}", exits(view), view["bounded_by"]));
        }
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Programs, and what is said of them.
const NAMED: &[(&str, &str, &str)] = &[
    (
        "a file that is read through a mapping while it changes",
        r#"int f = open("a", O_RDWR);
        if (!fork()) { pwrite(f, "2", 1, 0); _exit(0); }
        volatile char *m = mmap(0, 4096, PROT_READ, MAP_PRIVATE, f, 0);
        int c = *m; wait(0); return c - '0';"#,
        "through a mapping",
    ),
    (
        "shared memory that is opened anew",
        r#"volatile int *m = shared();
        if (!fork()) { mprotect((void *)m, 4096, PROT_READ | PROT_WRITE); *m = *m + 1; _exit(0); }
        *m = *m + 1; wait(0); return *m;"#,
        "protection of memory",
    ),
    (
        "attributes with names",
        r#"int f = open("a", O_RDWR); fsetxattr(f, "user.x", "1", 1, 0); return 0;"#,
        "fsetxattr",
    ),
    ("the room on a disk", r#"struct statfs s; statfs(".", &s); return 0;"#, "room"),
    (
        "a process that stops",
        "pid_t p = fork(); if (!p) { raise(SIGSTOP); _exit(0); } waitpid(p, 0, WUNTRACED); kill(p, SIGKILL); return 0;",
        "stopped",
    ),
    (
        "a write that does not fit",
        r#"int p[2]; pipe(p); static char b[100000];
        if (!fork()) { close(p[0]); write(p[1], b, sizeof b); _exit(0); }
        close(p[1]); while (read(p[0], b, sizeof b) > 0) ; wait(0); return 0;"#,
        "in pieces",
    ),
    ("a signal for input", "int p[2]; pipe(p); fcntl(p[0], F_SETOWN, getpid()); return 0;", "tell of files"),
    (
        "descriptors that two processes share",
        "if (!syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0)) { close(0); _exit(0); } wait(0); return 0;",
        "share memory, descriptors",
    ),
    (
        "epoll on two pipes",
        r#"int p[2], q[2], e = epoll_create1(0); pipe(p); pipe(q);
        struct epoll_event one = {EPOLLIN, {.u32 = 1}}, two = {EPOLLIN, {.u32 = 2}}, got;
        epoll_ctl(e, EPOLL_CTL_ADD, p[0], &one); epoll_ctl(e, EPOLL_CTL_ADD, q[0], &two);
        if (!fork()) { write(p[1], "x", 1); _exit(0); }
        if (!fork()) { write(q[1], "x", 1); _exit(0); }
        epoll_wait(e, &got, 1, -1); wait(0); wait(0);
        return got.data.u32;"#,
        "ready first",
    ),
    (
        "a message to a program elsewhere",
        r#"struct sockaddr_un u = {.sun_family = AF_UNIX, .sun_path = "/run/log"};
        int s = socket(AF_UNIX, SOCK_DGRAM, 0); sendto(s, "x", 1, 0, (void *)&u, sizeof u); return 0;"#,
        "another program",
    ),
    (
        "a connection to another machine",
        r#"struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = 80, .sin_addr = {0x01020304}};
        return !connect(socket(AF_INET, SOCK_STREAM, 0), (void *)&a, sizeof a);"#,
        "another machine",
    ),
    (
        "a handler that shares much",
        "signal(SIGUSR1, all); pid_t parent = getpid(); if (!fork()) { kill(parent, SIGUSR1); _exit(0); }
        while (wait(0) < 0) ; return 0;",
        "amid the program's own computation",
    ),
    (
        "a handler that jumps",
        "signal(SIGUSR1, jump); pid_t parent = getpid(); if (!fork()) { kill(parent, SIGUSR1); _exit(0); }
        if (!sigsetjmp(back, 1)) while (wait(0) < 0) ; return 0;",
        "a signal handler",
    ),
    ("an alarm", "signal(SIGALRM, nothing); alarm(1); pause(); return 0;", "timer"),
    ("a status in /proc", r#"return open("/proc/self/status", O_RDONLY) < 0;"#, "/proc/self/status"),
];

fn what_is_not_under_control_is_named() {
    let programs: Vec<_> = NAMED.iter().map(|(name, body, _)| (*name, *body)).collect();
    let mut wrong = Vec::new();
    explore_all("named", &programs, |name, view| {
        let said = NAMED.iter().find(|known| known.0 == name).map(|known| known.2).unwrap();
        let named = view["uncontrolled"].to_string();
        if view["complete"] != false || !named.contains(said) {
            wrong.push(format!("{name}: {named}"));
        }
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
