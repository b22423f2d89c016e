//! Kills of programs: what a process that is killed at any of its steps leaves behind.

use crate::common::trials;
use crate::traced::{HEAD, Place, outcomes};
use libtest_mimic::Trial;
use serde_json::Value;
use std::collections::BTreeSet;

pub(crate) fn tests() -> Vec<Trial> {
    trials!["traced_kills":
        a_lock_of_a_killed_process_is_free_and_its_lock_file_is_not,
        a_kill_closes_what_its_process_had_open,
        a_robust_mutex_tells_of_its_killed_owner,
        a_schedule_with_a_kill_replays,
        a_bound_on_preemptions_finds_what_needs_no_more,
    ]
}

/// Two processes, one after the other within a lock: `argv[1]` is `flock` or `file`.
const LOCKED: &str = r#"
int main(int argc, char **argv) {
    int is_file = !strcmp(argv[1], "file");
    for (int i = 0; i < 2; i++) if (!fork()) {
        if (is_file) {
            while (open("lock", O_CREAT | O_EXCL | O_WRONLY, 0600) < 0) {
                struct stat s;
                if (!stat("lock", &s)) _exit(5);
            }
            unlink("lock");
        } else {
            int f = open("a", O_RDWR);
            flock(f, LOCK_EX);
            flock(f, LOCK_UN);
        }
        _exit(0);
    }
    wait(0); wait(0);
    return 0;
}"#;

fn left_locked(view: &Value) -> usize {
    let outcomes = view["outcomes"].as_array().unwrap();
    outcomes.iter().filter(|outcome| outcome["files"]["lock"].is_object()).count()
}

fn a_lock_of_a_killed_process_is_free_and_its_lock_file_is_not() {
    let place = Place::new("kills", &[("a", "")]);
    let Some(program) = place.compile(&format!("{HEAD}{LOCKED}")) else { return };
    for kind in ["flock", "file"] {
        let reduced = place.explore(&["--kills", "1"], &[&program, kind]);
        let naive = place.explore(&["--kills", "1", "--naive"], &[&program, kind]);
        assert_eq!(naive["complete"], true, "{kind}: {}", naive["uncontrolled"]);
        assert_eq!(reduced["complete"], true, "{kind}: {}", reduced["uncontrolled"]);
        assert_eq!(
            (outcomes(&reduced), &reduced["classes"]),
            (outcomes(&naive), &naive["classes"]),
            "{kind}"
        );
        assert_eq!(left_locked(&reduced) > 0, kind == "file", "{kind}: {reduced}");
        // A killed process is no crash; what it leaves may be.
        assert!(outcomes(&reduced).iter().all(|it| it.starts_with("\"ok\"")), "{kind}: {reduced}");
    }
    let view = place.explore(&[], &[&program, "file"]);
    assert_eq!(left_locked(&view), 0, "without a kill nothing is left: {view}");
}

/// A writer and a reader of a pipe, which ends early if the writer is killed.
const PIPED: &str = r#"
int main(void) {
    int p[2];
    pipe(p);
    if (!fork()) { close(p[0]); write(p[1], "ab", 2); write(p[1], "c", 1); _exit(0); }
    close(p[1]);
    char b[8];
    int n, all = 0;
    while ((n = read(p[0], b, 8)) > 0) all += n;
    int f = open("o", O_CREAT | O_WRONLY, 0600);
    write(f, "0123", all);
    wait(0);
    return all;
}"#;

fn a_kill_closes_what_its_process_had_open() {
    let place = Place::new("kill-pipe", &[]);
    let Some(program) = place.compile(&format!("{HEAD}{PIPED}")) else { return };
    let reduced = place.explore(&["--kills", "1"], &[&program]);
    let naive = place.explore(&["--kills", "1", "--naive"], &[&program]);
    for view in [&reduced, &naive] {
        assert_eq!(view["complete"], true, "{}", view["uncontrolled"]);
    }
    assert_eq!((outcomes(&reduced), &reduced["classes"]), (outcomes(&naive), &naive["classes"]));
    // With a handler whose moment matters, it may leave out a class, and says so.
    let body = "volatile int n; void h(int s) { n++; }\nint main(void) { signal(SIGCHLD, h); if (!fork()) _exit(0); open(\"o\", O_CREAT, 0600); int k = n; wait(0); return k; }";
    let Some(program) = place.compile(&format!("{HEAD}{body}")) else { return };
    let view = place.explore(&["--kills", "1"], &[&program]);
    assert!(view["uncontrolled"].to_string().contains("may leave out a class"), "{}", view["uncontrolled"]);
    // The writer is killed before it wrote, between its writes, or after both.
    let of_killed_writer = |it: &&Value| it["exit"]["root.1"] == -9 && it["exit"]["root"] != -9;
    let read: BTreeSet<_> = reduced["outcomes"]
        .as_array()
        .unwrap()
        .iter()
        .filter(of_killed_writer)
        .collect::<Vec<_>>()
        .iter()
        .map(|it| it["exit"]["root"].as_i64())
        .collect();
    assert_eq!(read, [Some(0), Some(2), Some(3)].into(), "{reduced}");
}

const ROBUST: &str = r"
#include <pthread.h>
int main(void) {
    pthread_mutex_t *m = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_mutexattr_t a;
    pthread_mutexattr_init(&a);
    pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(m, &a);
    if (!fork()) { pthread_mutex_lock(m); _exit(0); }
    int r = pthread_mutex_lock(m);
    if (r == EOWNERDEAD) pthread_mutex_consistent(m);
    pthread_mutex_unlock(m);
    wait(0);
    return r == EOWNERDEAD ? 7 : r;
}";

fn a_robust_mutex_tells_of_its_killed_owner() {
    let place = Place::new("robust", &[]);
    let Some(program) = place.compile_with(&["-pthread"], &format!("{HEAD}{ROBUST}")) else { return };
    let view = place.explore(&["--budget", "1500"], &[&program]);
    let exits: BTreeSet<_> =
        view["outcomes"].as_array().unwrap().iter().map(|it| it["exit"]["root"].as_i64()).collect();
    assert_eq!(exits, [Some(0), Some(7)].into(), "{view}");
}

fn a_schedule_with_a_kill_replays() {
    let place = Place::new("kill-replay", &[("a", "")]);
    let Some(program) = place.compile(&format!("{HEAD}{LOCKED}")) else { return };
    let view = place.explore(&["--kills", "1"], &[&program, "file"]);
    let all = view["outcomes"].as_array().unwrap();
    let killed = all.iter().filter(|it| it["witness"].to_string().contains("\"kill\":true"));
    let mut count = 0;
    for outcome in killed {
        let token = outcome["token"].as_str().unwrap();
        assert!(token.contains('!'), "{token}");
        let again = place.replay(token, &[&program, "file"]);
        assert_eq!((&again["exit"], &again["files"]), (&outcome["exit"], &outcome["files"]));
        assert_eq!(again["witness"], outcome["witness"]);
        count += 1;
    }
    assert!(count > 0, "{view}");
}

fn a_bound_on_preemptions_finds_what_needs_no_more() {
    let place = Place::new("preemptions", &[("a", "0")]);
    let body = r#"int main(void) {
        for (int i = 0; i < 2; i++) if (!fork()) {
            char b = 0; int f = open("a", O_RDWR);
            pread(f, &b, 1, 0); b++; pwrite(f, &b, 1, 0); _exit(0);
        }
        wait(0); wait(0);
        char b = 0; pread(open("a", O_RDONLY), &b, 1, 0);
        return b - '0';
    }"#;
    let Some(program) = place.compile(&format!("{HEAD}{body}")) else { return };
    for (most, found) in [("0", 1), ("1", 2)] {
        let view = place.explore(&["--preemptions", most], &[&program]);
        assert_eq!(view["outcomes"].as_array().unwrap().len(), found, "{most}: {view}");
        assert_eq!((&view["ended"], &view["complete"]), (&true.into(), &false.into()));
        assert!(view["uncontrolled"].to_string().contains("preemptions"), "{view}");
    }
}
