//! Exploring unmodified programs: the reduced search against the naive one, and against counts that are known.

use crate::common::trials;
use crate::traced::{HEAD, Place, outcomes};
use libtest_mimic::Trial;

pub(crate) fn tests() -> Vec<Trial> {
    trials!["traced":
        the_ticket_sale_in_c_has_as_many_schedules_and_classes_as_the_scenario,
        locks_of_files_are_explored_as_the_naive_search_does,
        pipes_are_explored_as_the_naive_search_does,
        names_of_files_are_explored_as_the_naive_search_does,
        shared_memory_is_explored_as_the_naive_search_does,
        a_semaphore_in_shared_memory_keeps_its_promise_in_every_schedule,
        a_call_that_is_not_known_is_named,
        a_witness_names_the_source_lines,
    ]
}

/// `argv[1]` buyers; with `s` in `argv[2]` they search first, with `t` they truncate.
const SALE: &str = r#"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
static int count(int f) {
    char b[16] = {0};
    if (pread(f, b, 15, 0) < 1) _exit(9);
    return atoi(b);
}
int main(int argc, char **argv) {
    int f = open("stock", O_RDWR), pids[9], buyers = atoi(argv[1]);
    for (int i = 0; i < buyers; i++)
        if (!(pids[i] = fork())) {
            if (strchr(argv[2], 's')) count(f);
            int k = count(f);
            if (strchr(argv[2], 't')) ftruncate(f, 0);
            char b = '0' + (k > 0 ? k - 1 : k);
            pwrite(f, &b, 1, 0);
            _exit(k > 0);
        }
    for (int i = 0; i < buyers; i++) waitpid(pids[i], 0, 0);
    return 0;
}"#;

fn the_ticket_sale_in_c_has_as_many_schedules_and_classes_as_the_scenario() {
    let place = Place::new("counts", &[("stock", "1")]);
    let Some(program) = place.compile(SALE) else { return };
    for (buyers, steps, schedules, classes) in [("2", "-", 6, 4), ("3", "-", 90, 36), ("2", "st", 52, 14)] {
        let view = place.explore(&[], &[&program, buyers, steps]);
        assert_eq!(view["complete"], true, "{}", view["uncontrolled"]);
        assert_eq!(view["classes"], classes, "{buyers} buyers {steps}");
        assert_eq!(searched(&view), view["classes"], "{buyers} buyers {steps}");
        assert_eq!(view["schedules"], schedules, "{buyers} buyers {steps}");
    }
}

/// Executions of the search, without those by chance.
fn searched(view: &serde_json::Value) -> u64 {
    view["executions"].as_u64().unwrap() - view["sampled"].as_u64().unwrap()
}

/// Both searches of a program in C: they end with the same outcomes and classes, and the reduced one executes
/// each class once.
fn compare(name: &str, files: &[(&str, &str)], programs: &[(&str, &str)]) {
    let place = Place::new(name, files);
    for (what, body) in programs {
        let source = format!("{HEAD}int main(void) {{ {body} }}");
        let Some(program) = place.compile(&source) else { return };
        let reduced = place.explore(&[], &[&program]);
        let naive = place.explore(&["--naive"], &[&program]);
        assert_eq!(reduced["complete"], true, "{what}: {}", reduced["uncontrolled"]);
        assert_eq!(naive["complete"], true, "{what}: {}", naive["uncontrolled"]);
        assert_eq!(outcomes(&reduced), outcomes(&naive), "{what}");
        assert_eq!(reduced["classes"], naive["classes"], "{what}");
        assert_eq!(searched(&reduced), reduced["classes"], "{what}");
        assert!(naive["executions"].as_u64() > reduced["executions"].as_u64(), "{what}");
    }
}

fn locks_of_files_are_explored_as_the_naive_search_does() {
    compare(
        "file-locks",
        &[("a", ""), ("b", "")],
        &[
            (
                "flock around a read and a write",
                r#"for (int i = 0; i < 2; i++) if (!fork()) {
                    char b = 0; int a = open("a", O_RDWR); flock(a, LOCK_EX);
                    pread(a, &b, 1, 0); b++; pwrite(a, &b, 1, 0); flock(a, LOCK_UN); _exit(b);
                }
                wait(0); wait(0); return 0;"#,
            ),
            (
                "flock that another does not wait for",
                r#"for (int i = 0; i < 2; i++) if (!fork()) {
                    int a = open("a", O_RDWR); if (flock(a, i ? LOCK_EX | LOCK_NB : LOCK_EX)) _exit(7);
                    close(a); _exit(i);
                }
                wait(0); wait(0); return 0;"#,
            ),
            (
                "flock through an inherited description",
                r#"int a = open("a", O_RDWR);
                if (!fork()) { flock(a, LOCK_EX); _exit(0); }
                int b = open("a", O_RDWR); close(a);
                int taken = flock(b, LOCK_EX | LOCK_NB); wait(0); return taken ? 1 : 0;"#,
            ),
            (
                "record locks in opposite order",
                r#"for (int i = 0; i < 2; i++) if (!fork()) {
                    int a = open("a", O_RDWR);
                    struct flock one = {.l_type = F_WRLCK, .l_start = i, .l_len = 1};
                    struct flock two = {.l_type = F_WRLCK, .l_start = !i, .l_len = 1};
                    fcntl(a, F_SETLKW, &one); int bad = fcntl(a, F_SETLKW, &two);
                    _exit(bad ? errno == EDEADLK ? 5 : 6 : 0);
                }
                wait(0); wait(0); return 0;"#,
            ),
        ],
    );
}

fn pipes_are_explored_as_the_naive_search_does() {
    compare(
        "pipes",
        &[],
        &[
            (
                "who of two readers gets the byte, and who the end",
                r#"int p[2]; pipe(p);
                if (!fork()) { close(p[1]); char b; _exit(read(p[0], &b, 1)); }
                write(p[1], "a", 1); close(p[1]); char b; int n = read(p[0], &b, 1);
                close(p[0]); wait(0); return 10 + n;"#,
            ),
            (
                "a reader that does not wait",
                r#"int p[2]; pipe2(p, O_NONBLOCK);
                if (!fork()) { write(p[1], "a", 1); _exit(0); }
                close(p[1]); char b; int n = read(p[0], &b, 1); wait(0);
                return n < 0 ? 3 : n;"#,
            ),
            (
                "a writer whose reader may be gone",
                r#"signal(SIGPIPE, SIG_IGN); int p[2]; pipe(p);
                if (!fork()) { close(p[1]); close(p[0]); _exit(0); }
                close(p[0]); int n = write(p[1], "a", 1); wait(0); return n < 0 ? 3 : n;"#,
            ),
        ],
    );
}

fn names_of_files_are_explored_as_the_naive_search_does() {
    compare(
        "names",
        &[("a", "1")],
        &[
            (
                "a lock file",
                r#"for (int i = 0; i < 2; i++) if (!fork()) {
                    if (open("lock", O_CREAT | O_EXCL | O_WRONLY, 0600) < 0) _exit(1);
                    unlink("lock"); _exit(0);
                }
                wait(0); wait(0); return 0;"#,
            ),
            (
                "check, then create",
                r#"for (int i = 0; i < 2; i++) if (!fork()) {
                    if (!access("f", F_OK)) _exit(1);
                    int f = open("f", O_CREAT | O_TRUNC | O_WRONLY, 0600); write(f, i ? "x" : "y", 1); _exit(0);
                }
                wait(0); wait(0); return 0;"#,
            ),
            (
                "rename over a file that is read",
                r#"if (!fork()) {
                    int f = open("new", O_CREAT | O_WRONLY, 0600); write(f, "2", 1);
                    rename("new", "a"); _exit(0);
                }
                char b = 0; int f = open("a", O_RDONLY); read(f, &b, 1); struct stat s;
                int gone = stat("new", &s); wait(0); return (b - '0') * 2 + !!gone;"#,
            ),
            (
                "mkdir twice, and rmdir",
                r#"for (int i = 0; i < 2; i++) if (!fork()) {
                    int made = !mkdir("d", 0700); rmdir("d"); _exit(made);
                }
                wait(0); wait(0); return 0;"#,
            ),
        ],
    );
}

fn shared_memory_is_explored_as_the_naive_search_does() {
    compare(
        "shared-memory",
        &[("a", "1")],
        &[
            (
                "a lost update",
                r#"volatile int *n = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
                for (int i = 0; i < 2; i++) if (!fork()) { int k = *n; *n = k + 1; _exit(0); }
                wait(0); wait(0); return *n;"#,
            ),
            (
                "a lost update through a mapped file",
                r#"for (int i = 0; i < 2; i++) if (!fork()) {
                    int f = open("a", O_RDWR);
                    volatile char *n = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, f, 0);
                    *n = *n + 1; _exit(0);
                }
                wait(0); wait(0); return 0;"#,
            ),
            (
                "a buffer in shared memory",
                r#"char *n = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
                if (!fork()) { int f = open("a", O_RDONLY); read(f, n, 1); _exit(0); }
                int c = *(volatile char *)n; wait(0); return c;"#,
            ),
        ],
    );
}

const SEMAPHORE: &str = r#"
#include <semaphore.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
struct shared { sem_t sem; volatile int n; };
int main(int argc, char **argv) {
    struct shared *s = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    sem_init(&s->sem, 1, atoi(argv[1]));
    if (!fork()) { sem_wait(&s->sem); s->n++; sem_post(&s->sem); _exit(0); }
    sem_wait(&s->sem); s->n++; sem_post(&s->sem);
    wait(0);
    return s->n;
}"#;

fn a_semaphore_in_shared_memory_keeps_its_promise_in_every_schedule() {
    let place = Place::new("semaphore", &[]);
    let Some(program) = place.compile(SEMAPHORE) else { return };
    for (value, ends) in [("1", vec![Some(2)]), ("2", vec![Some(1), Some(2)]), ("0", vec![None])] {
        let view = place.explore(&[], &[&program, value]);
        assert_eq!(view["complete"], true, "{}", view["uncontrolled"]);
        assert_eq!(searched(&view), view["classes"], "a semaphore of {value}");
        let outcomes = view["outcomes"].as_array().unwrap();
        let mut found: Vec<_> = outcomes.iter().map(|it| it["exit"]["root"].as_i64()).collect();
        found.sort_unstable();
        found.dedup();
        assert_eq!(found, ends, "a semaphore of {value}");
    }
}

fn a_call_that_is_not_known_is_named() {
    let place = Place::new("unknown-call", &[]);
    let source = "#include <sys/inotify.h>\nint main(void) { inotify_init1(0); return 0; }";
    let Some(program) = place.compile(source) else { return };
    let view = place.explore(&[], &[&program]);
    assert_eq!(view["complete"], false);
    assert_eq!(view["ended"], true);
    let named = view["uncontrolled"].to_string();
    assert!(named.contains("the system call inotify_init1"), "{named}");
}

fn a_witness_names_the_source_lines() {
    let place = Place::new("lines", &[("a", "1")]);
    let body = "int main(void) {\n  int f = open(\"a\", O_RDWR);\n  if (!fork())\n    _exit(pwrite(f, \"2\", 1, 0));\n  char b;\n  pread(f, &b, 1, 0);\n  wait(0);\n  return b - '0';\n}";
    let source = format!("{HEAD}{body}");
    let line_of = |text: &str| 1 + source.lines().position(|line| line.contains(text)).unwrap();
    let lines = [("pwrite", line_of("pwrite")), ("pread", line_of("pread"))];
    let Some(program) = place.compile_with(&["-g"], &source) else { return };
    let view = place.explore(&[], &[&program]);
    for outcome in outcomes_of(&view) {
        for (call, line) in lines {
            let mut steps = outcome["witness"].as_array().unwrap().iter();
            let step = steps.find(|step| step["call"].as_str().unwrap().starts_with(call)).unwrap();
            assert_eq!(step["line"], format!("program.c:{line}"), "{step}");
        }
    }
}

fn outcomes_of(view: &serde_json::Value) -> &Vec<serde_json::Value> {
    view["outcomes"].as_array().unwrap()
}
