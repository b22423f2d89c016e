//! Executions that begin as copies of a process are the same as executions that start the program.

use crate::common::trials;
use crate::traced::{HEAD, Place};
use libtest_mimic::Trial;
use proclab::Supervisor;
use proclab::explore::traced::{Answer, Command, Criteria, Findings, Search, Task, carry_out, token};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

pub(crate) fn tests() -> Vec<Trial> {
    trials!["traced_checkpoints":
        a_search_with_copies_finds_what_a_search_without_them_does,
        long_searches_begin_executions_as_copies,
        a_copy_has_read_what_its_template_has_read_alone,
        a_program_that_looks_for_others_is_not_copied,
    ]
}

/// The fact by which every execution starts the program.
const NONE: &str = "every execution starts the program";

/// A program that tells of everything that a copy could have in another way than its original.
const CURIOUS: &str = r#"
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
static int early, early_thread;
__attribute__((constructor)) static void begin(void) { early = getpid(); early_thread = syscall(SYS_gettid); }
int main(int argc, char **argv) {
    FILE *to = fopen("told", "w");
    int signal = 0, status;
    char name[32] = "", path[256] = "";
    void *head; size_t size; struct rlimit limit; sigset_t set; stack_t stack; struct stat own;
    prctl(PR_GET_PDEATHSIG, &signal); prctl(PR_GET_NAME, name);
    syscall(SYS_get_robust_list, 0, &head, &size);
    getrlimit(RLIMIT_DATA, &limit); sigprocmask(0, 0, &set); sigaltstack(0, &stack);
    readlink("/proc/self/exe", path, 255); stat(argv[0], &own);
    pthread_mutexattr_t attr; pthread_mutex_t mutex;
    pthread_mutexattr_init(&attr); pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&mutex, &attr); pthread_mutex_lock(&mutex);
    fprintf(to, "%d %d %d %d %d %d %d ", early, early_thread, getpid(), (int)syscall(SYS_gettid), getppid(), getpgrp(), getsid(0));
    fprintf(to, "%d %s %p %ld %ld %d ", signal, name, head, (long)size, (long)limit.rlim_cur, (int)sigismember(&set, SIGCHLD));
    fprintf(to, "%p %p %p %p %p %d ", &early, &to, malloc(10), malloc(1 << 20), sbrk(0), kill(early, 0));
    fprintf(to, "%s %ld %ld %ld %o %ld %d ", path, (long)own.st_ino, (long)own.st_mtime, (long)own.st_nlink, own.st_mode, (long)time(0), rand());
    fprintf(to, "%d %d %d %d\n", fcntl(0, F_GETFD), fcntl(1, F_GETFL), fcntl(3, F_GETFD), fcntl(4, F_GETFD));
    for (int i = 0; i < 2; i++) if (!fork()) { fprintf(to, "%d %d %d ", getpid(), getppid(), getpgrp()); _exit(0); }
    fflush(to);
    while (wait(&status) > 0) {}
    return 0;
}"#;

/// A lost update, and two locks in opposite order.
const RACES: &str = r#"
int main(void) {
    for (int i = 0; i < 2; i++)
        if (!fork()) {
            char b[2] = {0};
            int a = open(i ? "a" : "b", O_RDWR | O_CREAT, 0600), c = open(i ? "b" : "a", O_RDWR | O_CREAT, 0600);
            flock(a, LOCK_EX); flock(c, LOCK_EX);
            int f = open("n", O_RDWR); pread(f, b, 1, 0); b[0]++; pwrite(f, b, 1, 0);
            _exit(0);
        }
    wait(0); wait(0);
    return 0;
}"#;

/// A program that looks around in its folder while it is alone, and then races.
const READER: &str = r#"
#include <dirent.h>
#include <sys/prctl.h>
int main(void) {
    char told[4096] = "", text[16] = "", target[16] = "";
    size_t at = 0;
    DIR *all = opendir(".");
    for (struct dirent *e; (e = readdir(all));)
        at += snprintf(told + at, sizeof told - at, "%s %ld\n", e->d_name, (long)e->d_ino);
    closedir(all);
    struct stat own = {0};
    stat("n", &own);
    readlink("link", target, 15);
    int f = open("link", O_RDONLY);
    read(f, text, 15);
    lseek(f, 0, SEEK_SET);
    close(f);
    at += snprintf(told + at, sizeof told - at, "%ld %ld %d %s %s", (long)own.st_ino, (long)own.st_mtime,
        access("none", R_OK), target, text);
    prctl(PR_SET_NAME, "has-read");
    for (int i = 0; i < 2; i++)
        if (!fork()) {
            char b[2] = {0};
            int f = open("n", O_RDWR); pread(f, b, 1, 0); b[0]++; pwrite(f, b, 1, 0);
            _exit(0);
        }
    wait(0); wait(0);
    write(open("told", O_WRONLY | O_CREAT, 0600), told, at);
    return 0;
}"#;

const SALE: &str = "
from multiprocessing import Process
import os, random, sys
def buy():
    n = int(open('n').read())
    open('n', 'w').write(str(n + 1))
    print(os.getpid(), os.getppid(), random.random(), hash('x'), id(sys))
ps = [Process(target=buy) for _ in range(2)]
[p.start() for p in ps]
[p.join() for p in ps]
";

fn search(supervisor: &Supervisor, command: Command, how: Search) -> Findings {
    let task = Task::Search(how, Criteria::default());
    match carry_out(|process| supervisor.start(process), command, task, None, None, &mut |_| {}) {
        Ok(Answer::Findings(findings)) => findings,
        other => panic!("a search is answered by findings, not {other:?}"),
    }
}

/// The same without a divergence, which heavy load may cause.
fn repeatable(supervisor: &Supervisor, command: &Command, how: &Search) -> Findings {
    const TRIES: usize = 3;
    let again = |_| search(supervisor, command.clone(), how.clone());
    let is_steady =
        |found: &Findings| !found.uncontrolled.keys().any(|what| what.contains("went another way"));
    (0..TRIES).map(again).find(is_steady).expect("a search without divergences")
}

/// Everything that was found, and the tokens.
fn told(command: &Command, findings: &Findings) -> String {
    let tokens = findings.outcomes.iter().map(|found| {
        let steps = found.witness.iter().map(proclab::explore::traced::WitnessStep::choice);
        token::encode(command, steps, &found.facts)
    });
    format!("{:#?}\n{findings:#?}", tokens.collect::<Vec<_>>())
}

/// Compiles a program into the folder that is copied.
fn compile(place: &Place, source: &str) -> bool {
    let Some(program) = place.compile(&format!("{HEAD}{source}")) else { return false };
    std::fs::copy(program, place.path("dir").join("program")).unwrap();
    true
}

fn a_search_with_copies_finds_what_a_search_without_them_does() {
    let supervisor = Supervisor::new().unwrap();
    let shell = "inc() { read n < n; echo $((n + 1)) $$ $PPID > n; }; inc & inc & wait";
    let make = "all: a b\na:\n\tcp n a\nb: a\n\tcp n b\n";
    let place = |name: &str| Place::new(name, &[("n", "1\n"), ("sale.py", SALE), ("Makefile", make)]);
    let [curious, races, reader, others] = ["curious", "races", "reader", "others"].map(place);
    let mut works: Vec<(PathBuf, Vec<&str>, bool, usize, u64)> = vec![
        (others.path("dir"), vec!["/bin/sh", "-c", shell], false, 0, 20),
        (others.path("dir"), vec!["/usr/bin/env", "bash", "-c", shell], false, 0, 20),
        (others.path("dir"), vec!["/usr/bin/make", "-j2"], false, 0, 12),
        (others.path("dir"), vec!["/usr/bin/python3", "sale.py"], false, 0, 6),
    ];
    works.retain(|(_, argv, ..)| Path::new(argv[0]).exists());
    std::os::unix::fs::symlink("n", reader.path("dir").join("link")).unwrap();
    if compile(&curious, CURIOUS) && compile(&races, RACES) && compile(&reader, READER) {
        let program = || vec!["./program"];
        works.push((curious.path("dir"), program(), true, 0, 30));
        works.push((races.path("dir"), program(), true, 0, 30));
        works.push((races.path("dir"), program(), false, 0, 20));
        works.push((reader.path("dir"), program(), true, 0, 30));
        works.push((reader.path("dir"), program(), true, 1, 60));
        works.push((reader.path("dir"), program(), false, 0, 20));
    }
    for (folder, argv, exhaustive, kills, most) in works {
        let command = Command::new(argv.iter().copied()).directory(folder);
        // A search that lasts also draws random schedules, and when it does depends on the load.
        let random = if exhaustive { 0 } else { most };
        let how = Search { exhaustive, random, kills, executions: Some(most), ..Search::default() };
        let copied = repeatable(&supervisor, &command, &how);
        let mut anew = command.clone();
        anew.facts.insert(NONE.to_owned());
        let started = repeatable(&supervisor, &anew, &how);
        assert!(copied.outcomes.iter().all(|found| found.outcome.cut.is_none()), "{argv:?}");
        let (copied, started) = (told(&command, &copied), told(&command, &started));
        let differ = copied.lines().zip(started.lines()).find(|(one, other)| one != other);
        assert!(copied == started, "{argv:?}: {differ:?}\n{copied}\n{started}");
    }
}

/// Whether there is a process with this number in a namespace, which runs the program and has this name.
fn is_there(program: &str, name: Option<&str>, number: &str) -> bool {
    let folders = std::fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    folders.map(|folder| folder.path()).any(|process| {
        let read = |file| std::fs::read_to_string(process.join(file)).unwrap_or_default();
        read("cmdline").starts_with(program)
            && name.is_none_or(|name| read("comm").trim_end() == name)
            && read("status")
                .lines()
                .any(|line| line.starts_with("NSpid:") && line.ends_with(&format!("\t{number}")))
    })
}

/// Whether a template with this name is there during 150 executions; `None` where there are no namespaces.
fn has_template(folder: &Path, argv: &[&str], name: Option<&str>, facts: &[&str]) -> Option<bool> {
    let supervisor = Supervisor::new().unwrap();
    let mut command = Command::new(argv.iter().copied()).directory(folder);
    command.facts.extend(facts.iter().map(ToString::to_string));
    let how = Search { random: 150, executions: Some(150), ..Search::default() };
    let (was_seen, is_over) = (AtomicBool::new(false), AtomicBool::new(false));
    let findings = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) && !was_seen.load(Ordering::Relaxed) {
                was_seen.fetch_or(is_there(argv[0], name, "50"), Ordering::Relaxed);
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
        });
        let findings = search(&supervisor, command, how);
        is_over.store(true, Ordering::Relaxed);
        findings
    });
    let is_chosen = !findings.uncontrolled.keys().any(|what| what.starts_with("process numbers"));
    is_chosen.then(|| was_seen.into_inner())
}

fn long_searches_begin_executions_as_copies() {
    let place = Place::new("copies", &[("n", "1")]);
    if !compile(&place, RACES) {
        return;
    }
    let Some(is_copied) = has_template(&place.path("dir"), &["./program"], None, &[]) else {
        println!("left out: there are no namespaces here");
        return;
    };
    assert!(is_copied);
    assert_eq!(has_template(&place.path("dir"), &["./program"], None, &[NONE]), Some(false));
}

fn a_copy_has_read_what_its_template_has_read_alone() {
    let place = Place::new("read", &[("n", "1")]);
    if !compile(&place, READER) {
        return;
    }
    let Some(has_read) = has_template(&place.path("dir"), &["./program"], Some("has-read"), &[]) else {
        println!("left out: there are no namespaces here");
        return;
    };
    assert!(has_read);
}

fn a_program_that_looks_for_others_is_not_copied() {
    let place = Place::new("looks", &[("n", "1")]);
    let source = r#"
#include <dirent.h>
int main(void) {
    int count = 0;
    DIR *all = opendir("/proc");
    for (struct dirent *e; (e = readdir(all));) count += atoi(e->d_name) > 0;
    if (!fork()) _exit(0);
    wait(0);
    printf("%d\n", count);
    return 0;
}"#;
    if !compile(&place, source) {
        return;
    }
    let supervisor = Supervisor::new().unwrap();
    let command = Command::new(["./program"]).directory(place.path("dir"));
    let how = Search { random: 20, executions: Some(20), ..Search::default() };
    let found = search(&supervisor, command, how);
    if found.uncontrolled.keys().any(|what| what.starts_with("process numbers")) {
        println!("left out: there are no namespaces here");
        return;
    }
    let told: Vec<_> = found.outcomes.iter().map(|found| &found.outcome.stdout["root"]).collect();
    assert_eq!(told, [b"2\n"], "the program, and what traces it");
}
