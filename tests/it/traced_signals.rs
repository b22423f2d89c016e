//! When a signal arrives is a decision: programs in C whose outcomes are known by reason.

use crate::common::trials;
use crate::traced::{HEAD, Place, outcomes};
use libtest_mimic::Trial;
use serde_json::Value;
use std::collections::BTreeSet;

pub(crate) fn tests() -> Vec<Trial> {
    trials!["traced_signals":
        a_signal_before_pause_is_lost_and_sigsuspend_loses_none,
        a_handler_that_comes_before_the_entry_in_the_job_table_leaves_it_there,
        two_signals_of_one_number_are_handled_once_or_twice,
        a_process_that_is_killed_may_finish_the_call_in_which_it_is,
        a_signal_finds_the_handler_or_comes_before_it_is_there,
        a_call_that_sleeps_is_broken_off_by_a_handler,
        a_schedule_with_a_signal_replays,
        a_shell_that_waits_for_its_child_is_explored_to_the_end,
        handlers_that_only_set_a_flag_are_explored_as_the_naive_search_does,
    ]
}

/// Both searches of a program end complete with these exit statuses; `None` for one that never ends.
fn both(name: &str, body: &str, exits: &[Option<i64>]) -> Option<Value> {
    let place = Place::new(name, &[]);
    let program = place.compile(&format!("{HEAD}{body}"))?;
    let reduced = place.explore(&[], &[&program]);
    let naive = place.explore(&["--naive"], &[&program]);
    assert_eq!(reduced["complete"], true, "{}", reduced["uncontrolled"]);
    assert_eq!(outcomes(&reduced), outcomes(&naive), "{name}");
    assert_eq!(reduced["classes"], naive["classes"], "{name}");
    let found: BTreeSet<_> =
        reduced["outcomes"].as_array().unwrap().iter().map(|it| it["exit"]["root"].as_i64()).collect();
    assert_eq!(found, exits.iter().copied().collect(), "{name}");
    Some(reduced)
}

fn a_signal_before_pause_is_lost_and_sigsuspend_loses_none() {
    let lost = r"
static volatile int got;
static void handler(int s) { got = 1; }
int main(void) {
    signal(SIGCHLD, handler);
    if (!fork()) _exit(0);
    if (!got) pause();
    return 0;
}";
    let Some(view) = both("lost-signal", lost, &[None, Some(0)]) else { return };
    assert_eq!(view["outcomes"][0]["verdict"], "deadlock");
    let cured = r"
static volatile int got;
static void handler(int s) { got = 1; }
int main(void) {
    sigset_t child, before;
    signal(SIGCHLD, handler);
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, &before);
    if (!fork()) _exit(0);
    while (!got) sigsuspend(&before);
    wait(0);
    return 0;
}";
    let view = both("no-lost-signal", cured, &[Some(0)]).unwrap();
    assert_eq!(view["outcomes"].as_array().unwrap().len(), 1, "{view}");
}

/// As in many a shell of a course: the handler strikes a child from the table in which the parent enters it.
const JOBS: &str = r"
static volatile int jobs[4], n;
static void handler(int s) {
    int e = errno;
    pid_t p;
    while ((p = waitpid(-1, 0, WNOHANG)) > 0)
        for (int i = 0; i < n; i++) if (jobs[i] == p) jobs[i] = 0;
    errno = e;
}
int main(void) {
    sigset_t child, before;
    signal(SIGCHLD, handler);
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    if (BLOCKS) sigprocmask(SIG_BLOCK, &child, &before);
    pid_t p = fork();
    if (!p) _exit(0);
    jobs[n++] = p;
    if (BLOCKS) sigprocmask(SIG_SETMASK, &before, 0);
    while (waitpid(p, 0, 0) == p) return 2;
    return jobs[0] != 0;
}";

fn a_handler_that_comes_before_the_entry_in_the_job_table_leaves_it_there() {
    // 2: the parent itself was first to wait for the child.
    let Some(_) = both("jobs", &JOBS.replace("BLOCKS", "0"), &[Some(0), Some(1), Some(2)]) else { return };
    both("jobs-blocked", &JOBS.replace("BLOCKS", "1"), &[Some(0), Some(2)]);
}

fn two_signals_of_one_number_are_handled_once_or_twice() {
    let body = r"
static volatile int n;
static void handler(int s) { n++; }
int main(void) {
    signal(SIGUSR1, handler);
    pid_t parent = getpid();
    if (!fork()) { kill(parent, SIGUSR1); kill(parent, SIGUSR1); _exit(0); }
    while (wait(0) < 0) ;
    return n;
}";
    both("twice", body, &[Some(1), Some(2)]);
}

fn a_process_that_is_killed_may_finish_the_call_in_which_it_is() {
    let body = r#"
int main(void) {
    int status;
    pid_t p = fork();
    if (!p) {
        open("a", O_CREAT | O_WRONLY, 0600);
        _exit(0);
    }
    kill(p, SIGTERM);
    int seen = !access("a", F_OK);
    waitpid(p, &status, 0);
    int left = !access("a", F_OK);
    return (WIFSIGNALED(status) ? 4 : 0) + seen * 2 + left;
}"#;
    // 5: it was not there when the parent looked after the kill, and is there in the end.
    both("killed", body, &[Some(3), Some(4), Some(5), Some(7)]);
}

fn a_signal_finds_the_handler_or_comes_before_it_is_there() {
    let body = r"
static void handler(int s) { _exit(7); }
int main(void) {
    int status;
    pid_t p = fork();
    if (!p) { signal(SIGUSR1, handler); pause(); }
    kill(p, SIGUSR1);
    waitpid(p, &status, 0);
    return WIFSIGNALED(status) ? 1 : 2;
}";
    both("handler", body, &[Some(1), Some(2)]);
}

fn a_call_that_sleeps_is_broken_off_by_a_handler() {
    let body = r#"
static void handler(int s) {}
int main(void) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = FLAGS};
    sigaction(SIGUSR1, &action, 0);
    int p[2];
    char byte;
    pipe(p);
    pid_t parent = getpid();
    if (!fork()) { kill(parent, SIGUSR1); write(p[1], "x", 1); _exit(0); }
    int n = read(p[0], &byte, 1);
    return n < 0 ? 3 : n;
}"#;
    if both("broken-off", &body.replace("FLAGS", "0"), &[Some(1), Some(3)]).is_some() {
        both("begun-again", &body.replace("FLAGS", "SA_RESTART"), &[Some(1)]);
    }
}

fn a_schedule_with_a_signal_replays() {
    let place = Place::new("signal-replay", &[]);
    let Some(program) = place.compile(&format!("{HEAD}{}", JOBS.replace("BLOCKS", "0"))) else { return };
    let view = place.explore(&[], &[&program]);
    for outcome in view["outcomes"].as_array().unwrap() {
        let again = place.replay(outcome["token"].as_str().unwrap(), &[&program]);
        assert_eq!((&again["exit"], &again["witness"]), (&outcome["exit"], &outcome["witness"]));
    }
}

fn a_shell_that_waits_for_its_child_is_explored_to_the_end() {
    let place = Place::new("signal-shell", &[]);
    let explore = |script| place.explore(&[], &["/bin/sh", "-c", script]);
    let view = explore("echo a > f & wait; cat f");
    let is_dash = std::fs::read_link("/bin/sh").is_ok_and(|target| target.ends_with("dash"));
    if !is_dash {
        println!("left out: /bin/sh is not dash");
        return;
    }
    assert_eq!(view["complete"], true, "{}", view["uncontrolled"]);
    assert_eq!(view["outcomes"].as_array().unwrap().len(), 1, "{}", view["outcomes"]);
    // Its handler only sets a flag, which it looks at between two waits.
    let view = explore("echo a & echo b & wait");
    assert_eq!(view["complete"], true, "{}", view["uncontrolled"]);
    assert_eq!(searched(&view), view["classes"].as_u64().unwrap());
    assert_eq!(view["outcomes"].as_array().unwrap().len(), 1, "{}", view["outcomes"]);
}

fn searched(view: &serde_json::Value) -> u64 {
    view["executions"].as_u64().unwrap() - view["sampled"].as_u64().unwrap()
}

/// `argv[1]` says which of five programs, whose handler sets a flag.
const FLAGS: &str = r#"
static volatile int got;
static void on(int s) { got = 1; }
int main(int c, char **v) {
    int which = v[1][0] - '0', me = getpid(), status, p[2];
    struct sigaction a = {.sa_handler = on};
    sigaction(which == 2 ? SIGUSR1 : SIGCHLD, &a, 0);
    if (which == 1) {
        for (int i = 0; i < 2; i++) if (!fork()) _exit(0);
        got = 0; int r = got; while (wait(0) > 0); return r;
    }
    if (which == 2) {
        pipe(p);
        if (!fork()) { kill(me, SIGUSR1); write(p[1], "x", 1); _exit(0); }
        char b; int r = read(p[0], &b, 1); return (r < 0 ? 10 : 0) + got;
    }
    int x = fork(); if (!x) _exit(3);
    if (which == 3) {
        int y = fork(); if (!y) _exit(4);
        int r = waitpid(y, &status, 0), k = got; while (wait(0) > 0); return (r < 0 ? 10 : 0) + k;
    }
    if (which == 4) {
        sigset_t s, o; sigemptyset(&s); sigaddset(&s, SIGCHLD);
        sigprocmask(SIG_BLOCK, &s, &o); int k = got; while (!got) sigsuspend(&o);
        sigprocmask(SIG_SETMASK, &o, 0); wait(0); return k;
    }
    int y = fork(); if (!y) _exit(got);
    waitpid(y, &status, 0); return WEXITSTATUS(status);
}"#;

fn handlers_that_only_set_a_flag_are_explored_as_the_naive_search_does() {
    let place = Place::new("flags", &[]);
    let Some(program) = place.compile(&format!("{HEAD}{FLAGS}")) else { return };
    for which in ["1", "2", "3", "4", "5"] {
        let reduced = place.explore(&[], &[&program, which]);
        let naive = place.explore(&["--naive"], &[&program, which]);
        for view in [&reduced, &naive] {
            assert_eq!(view["complete"], true, "{which}: {}", view["uncontrolled"]);
        }
        assert_eq!(outcomes(&reduced), outcomes(&naive), "{which}");
        assert_eq!(reduced["classes"], naive["classes"], "{which}");
        assert_eq!(searched(&reduced), reduced["classes"].as_u64().unwrap(), "{which}");
    }
}
