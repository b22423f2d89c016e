//! Time limits of waits: they expire in virtual time, when nothing else can continue or at any moment (`--timeouts`).

use crate::common::trials;
use crate::traced::{Place, outcomes};
use libtest_mimic::Trial;
use serde_json::Value;
use std::collections::BTreeSet;

pub(crate) fn tests() -> Vec<Trial> {
    trials!["traced_time":
        a_lost_wake_up_ends_with_the_limit_of_the_wait,
        a_limit_that_may_expire_at_any_moment_is_a_decision,
        a_limit_of_any_wait_is_virtual_and_one_that_is_over_does_not_wait,
        a_handler_ends_a_wait_that_has_a_limit,
        a_handler_that_interrupts_an_access_returns_to_it,
        a_task_that_slept_in_a_call_that_is_not_controlled_goes_on,
    ]
}

const HEAD: &str = "#define _GNU_SOURCE\n#include <errno.h>\n#include <fcntl.h>\n#include <linux/futex.h>\n#include <mqueue.h>\n\
    #include <semaphore.h>\n#include <signal.h>\n#include <stdlib.h>\n\
    #include <sys/mman.h>\n#include <sys/sem.h>\n#include <sys/syscall.h>\n#include <sys/wait.h>\n\
    #include <time.h>\n#include <unistd.h>\n";

/// Explores a program whose processes share the word `*n`, which is 0.
fn explore(name: &str, options: &[&str], main: &str) -> Option<Value> {
    explore_with(name, options, "", main)
}

fn explore_with(name: &str, options: &[&str], functions: &str, main: &str) -> Option<Value> {
    let place = Place::new(name, &[]);
    let text = format!(
        "{HEAD}{functions}int main(void) {{ volatile int *n = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);\n{main} }}"
    );
    let program = place.compile_with(&["-pthread"], &text)?;
    Some(place.explore(options, &[&program]))
}

fn exits(view: &Value) -> BTreeSet<Option<i64>> {
    view["outcomes"].as_array().unwrap().iter().map(|it| it["exit"]["root"].as_i64()).collect()
}

/// One wakes whoever waits by then; the other waits, for a quarter of an hour at most.
const LOST: &str = "if (!fork()) { syscall(SYS_futex, n, FUTEX_WAKE, 1, 0, 0, 0); _exit(0); }\n\
    struct timespec limit = {900, 0};\n\
    int over = syscall(SYS_futex, n, FUTEX_WAIT, 0, &limit, 0, 0) && errno == ETIMEDOUT;\n\
    wait(0); return over;";

fn a_lost_wake_up_ends_with_the_limit_of_the_wait() {
    let Some(view) = explore("lost-with-limit", &[], LOST) else { return };
    assert_eq!((exits(&view), &view["ended"]), ([Some(0), Some(1)].into(), &Value::Bool(true)), "{view}");
    assert_eq!(view["deadlocks"], 0, "{view}");
    let text = view["outcomes"].to_string();
    assert!(text.contains("futex(memory 1 of root+0x0, FUTEX_WAIT) = ETIMEDOUT"), "{text}");
}

fn a_limit_that_may_expire_at_any_moment_is_a_decision() {
    let Some(reduced) = explore("limit-any", &["--timeouts"], LOST) else { return };
    let naive = explore("limit-any", &["--timeouts", "--naive"], LOST).unwrap();
    assert!(reduced["complete"] == true && naive["complete"] == true, "{reduced}\n{naive}");
    assert_eq!((outcomes(&reduced), &reduced["classes"]), (outcomes(&naive), &naive["classes"]));
    // The program looks at nothing but the futex, so its two outcomes are those of the other search.
    assert_eq!(exits(&reduced), [Some(0), Some(1)].into(), "{reduced}");
}

fn a_limit_of_any_wait_is_virtual_and_one_that_is_over_does_not_wait() {
    let waits = [
        // A semaphore, until a time of the real-time clock; the monotonic clock; a mutex.
        "sem_t *s = (sem_t *)n; sem_init(s, 1, 0); clock_gettime(CLOCK_REALTIME, &t); t.tv_sec += 3600;\n\
         return sem_timedwait(s, &t) && errno == ETIMEDOUT ? 7 : 1;",
        "sem_t *s = (sem_t *)n; sem_init(s, 1, 0); clock_gettime(CLOCK_MONOTONIC, &t); t.tv_sec += 3600;\n\
         return sem_clockwait(s, CLOCK_MONOTONIC, &t) && errno == ETIMEDOUT ? 7 : 1;",
        "int s = semget(IPC_PRIVATE, 1, 0600); struct sembuf down = {0, -1, 0}; t.tv_sec = 3600;\n\
         return semtimedop(s, &down, 1, &t) && errno == EAGAIN ? 7 : 1;",
        "struct mq_attr a = {.mq_maxmsg = 1, .mq_msgsize = 1}; char c;\n\
         mqd_t q = mq_open(\"/q\", O_CREAT | O_RDWR, 0600, &a);\n\
         clock_gettime(CLOCK_REALTIME, &t); t.tv_sec += 3600;\n\
         return mq_timedreceive(q, &c, 1, 0, &t) < 0 && errno == ETIMEDOUT ? 7 : 1;",
        // The clock shows that the time has passed.
        "time_t begin = time(0); t.tv_sec = 3600; syscall(SYS_futex, n, FUTEX_WAIT, 0, &t, 0, 0);\n\
         return time(0) - begin >= 3600 ? 7 : 1;",
        // These are over before they begin, although the other process could continue.
        "return syscall(SYS_futex, n, FUTEX_WAIT, 0, &t, 0, 0) && errno == ETIMEDOUT ? 7 : 1;",
        "sem_t *s = (sem_t *)n; sem_init(s, 1, 0);\n\
         return sem_timedwait(s, &t) && errno == ETIMEDOUT ? 7 : 1;",
    ];
    for wait in waits {
        let main = format!("struct timespec t = {{0, 0}}; if (!fork()) _exit(0);\n{wait}");
        let Some(view) = explore("limits", &[], &main) else { return };
        assert_eq!((exits(&view), &view["ended"]), ([Some(7)].into(), &Value::Bool(true)), "{wait}: {view}");
    }
}

fn a_handler_ends_a_wait_that_has_a_limit() {
    let main = |limit: &str| {
        format!(
            "struct sigaction a = {{.sa_handler = (void (*)(int))getpid, .sa_flags = SA_RESTART}}; sigaction(SIGCHLD, &a, 0);\n\
             struct timespec limit = {{900, 0}}; if (!fork()) _exit(0);\n\
             int cut = syscall(SYS_futex, n, FUTEX_WAIT, 0, {limit}, 0, 0) && errno == EINTR;\n\
             return cut ? 3 : 4;"
        )
    };
    // The signal comes before the wait, which then ends by its limit, or during it.
    let Some(view) = explore("handler-limit", &[], &main("&limit")) else { return };
    assert_eq!(exits(&view), [Some(3), Some(4)].into(), "{view}");
    // Without a limit the wait begins again after the handler.
    let view = explore("handler-none", &[], &main("0")).unwrap();
    assert_eq!(exits(&view), [None].into(), "{view}");
    assert_eq!(view["outcomes"][0]["verdict"], "deadlock", "{view}");
}

fn a_handler_that_interrupts_an_access_returns_to_it() {
    let main = "struct sigaction a = {.sa_handler = on_child, .sa_flags = SA_RESTART}; sigaction(SIGCHLD, &a, 0);\n\
                if (!fork()) { *n = 5; _exit(0); } *n = 1; *n = 2; wait(0); return *n;";
    let text = "static void on_child(int s) { }\n";
    let Some(view) = explore_with("handler-access", &[], text, main) else { return };
    assert_eq!((exits(&view), &view["complete"]), ([Some(2), Some(5)].into(), &Value::Bool(true)), "{view}");
}

fn a_task_that_slept_in_a_call_that_is_not_controlled_goes_on() {
    let place = Place::new("sleeps-uncontrolled", &[]);
    let program = place.compile_with(
        &[],
        "#define _GNU_SOURCE\n#include <sys/socket.h>\n#include <sys/wait.h>\n#include <unistd.h>\n\
         int main(void) { int s[2]; char c = 0; struct iovec v = {&c, 1};\n\
         struct mmsghdr m = {.msg_hdr = {.msg_iov = &v, .msg_iovlen = 1}};\n\
         socketpair(AF_UNIX, SOCK_DGRAM, 0, s); if (!fork()) { write(s[1], \"x\", 1); _exit(0); }\n\
         recvmmsg(s[0], &m, 1, 0, 0); wait(0); return c; }",
    );
    let Some(program) = program else { return };
    let view = place.explore(&["--budget", "20s"], &[&program]);
    assert_eq!((&view["ended"], &view["complete"]), (&true.into(), &false.into()), "{view}");
    assert_eq!(exits(&view), [Some(i64::from(b'x'))].into(), "{view}");
}
