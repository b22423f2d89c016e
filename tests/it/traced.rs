//! Exploring unmodified programs: the outcomes are those that brute force finds.

use crate::common::trials;
use libtest_mimic::Trial;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) fn tests() -> Vec<Trial> {
    trials!["traced":
        a_ticket_sale_in_c_has_the_outcomes_of_the_naive_search_in_as_many_classes,
        two_locks_in_opposite_order_deadlock_and_the_schedule_replays,
        a_lost_update_in_the_shell_is_found,
        a_fork_bomb_and_endless_output_are_cut_short_and_said,
        what_the_kernel_would_choose_is_the_same_in_every_run,
    ]
}

const SALE: &str = r#"
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
int main(void) {
    for (int i = 0; i < 2; i++)
        if (!fork()) {
            char b[16] = {0};
            int f = open("stock", O_RDONLY);
            read(f, b, 15);
            int k = atoi(b);
            if (k > 0) { f = open("stock", O_WRONLY | O_TRUNC); b[0] = '0' + k - 1; write(f, b, 1); }
            _exit(k > 0);
        }
    wait(0); wait(0);
    return 0;
}"#;

const LOCKS: &str = r#"
#include <fcntl.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>
int main(void) {
    for (int i = 0; i < 2; i++)
        if (!fork()) {
            int a = open(i ? "b" : "a", O_RDWR), b = open(i ? "a" : "b", O_RDWR);
            flock(a, LOCK_EX); flock(b, LOCK_EX);
            _exit(0);
        }
    wait(0); wait(0);
    return 0;
}"#;

/// What programs in C begin with.
pub(crate) const HEAD: &str = r#"
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
"#;

/// A folder of the test's own, removed in the end.
pub(crate) struct Place(PathBuf);

impl Place {
    pub(crate) fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let path = std::env::temp_dir().join(format!("proclab-it-{name}-{}", std::process::id()));
        std::fs::create_dir_all(path.join("dir")).unwrap();
        for (file, content) in files {
            std::fs::write(path.join("dir").join(file), content).unwrap();
        }
        Self(path)
    }

    /// A path in the folder; the one that is explored is `dir`.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn compile(&self, source: &str) -> Option<String> {
        self.compile_with(&[], source)
    }

    pub(crate) fn compile_with(&self, flags: &[&str], source: &str) -> Option<String> {
        let (from, to) = (self.0.join("program.c"), self.0.join("program"));
        std::fs::write(&from, source).unwrap();
        let done = Command::new("cc").args(flags).args(["-w", "-o"]).arg(&to).arg(&from).status();
        match done {
            Ok(status) => assert!(status.success(), "the program compiles"),
            Err(_) => {
                println!("left out: there is no cc");
                return None;
            }
        }
        Some(to.to_str().unwrap().to_owned())
    }

    pub(crate) fn explore(&self, options: &[&str], command: &[&str]) -> serde_json::Value {
        let dir = self.0.join("dir");
        let output = proclab(&dir, &[&["explore", "--format", "json"], options], command);
        serde_json::from_slice(&output).unwrap()
    }

    pub(crate) fn replay(&self, token: &str, command: &[&str]) -> serde_json::Value {
        let dir = self.0.join("dir");
        serde_json::from_slice(&proclab(&dir, &[&["replay", token, "--format", "json"]], command)).unwrap()
    }
}

fn proclab(dir: &Path, options: &[&[&str]], command: &[&str]) -> Vec<u8> {
    let output = Command::new(env!("CARGO_BIN_EXE_proclab"))
        // Cargo's: where its folder is a temporary one, the loader's looks into it would be named as uncontrolled.
        .env_remove("LD_LIBRARY_PATH")
        .args(options.concat())
        .arg("--dir")
        .arg(dir)
        .arg("--")
        .args(command)
        .output()
        .unwrap();
    assert!(!output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn outcomes(view: &serde_json::Value) -> Vec<String> {
    let outcomes = view["outcomes"].as_array().unwrap();
    let key = |outcome: &serde_json::Value| {
        format!("{} {} {} {}", outcome["verdict"], outcome["exit"], outcome["files"], outcome["stdout"])
    };
    let mut keys: Vec<_> = outcomes.iter().map(key).collect();
    keys.sort();
    keys
}

fn a_ticket_sale_in_c_has_the_outcomes_of_the_naive_search_in_as_many_classes() {
    let place = Place::new("sale", &[("stock", "1")]);
    let Some(program) = place.compile(SALE) else { return };
    let reduced = place.explore(&[], &[&program]);
    let naive = place.explore(&["--naive"], &[&program]);
    assert_eq!(outcomes(&reduced), outcomes(&naive));
    assert_eq!(reduced["classes"], naive["classes"]);
    assert_eq!((&reduced["complete"], &naive["complete"]), (&true.into(), &true.into()));
    assert!(reduced["executions"].as_u64() < naive["executions"].as_u64());
    assert_eq!(std::fs::read(place.0.join("dir/stock")).unwrap(), b"1", "the user's folder is only read");
}

fn two_locks_in_opposite_order_deadlock_and_the_schedule_replays() {
    let place = Place::new("locks", &[("a", ""), ("b", "")]);
    let Some(program) = place.compile(LOCKS) else { return };
    let view = place.explore(&["--naive"], &[&program]);
    let verdicts: Vec<_> =
        view["outcomes"].as_array().unwrap().iter().map(|it| it["verdict"].clone()).collect();
    assert_eq!(verdicts, ["deadlock", "ok"]);
    assert_eq!(outcomes(&view), outcomes(&place.explore(&[], &[&program])));
    let token = view["outcomes"][0]["token"].as_str().unwrap().to_owned();
    let dir = place.0.join("dir");
    let again = proclab(&dir, &[&["replay", &token, "--format", "json"]], &[&program]);
    let again: serde_json::Value = serde_json::from_slice(&again).unwrap();
    assert_eq!(again["deadlock"], view["outcomes"][0]["deadlock"]);
}

fn a_lost_update_in_the_shell_is_found() {
    let place = Place::new("shell", &[("n", "1\n")]);
    let script = "inc() { read n < n; echo $((n + 1)) > n; }; inc & inc & wait";
    let view = place.explore(&["--budget", "120"], &["/bin/sh", "-c", script]);
    let text = outcomes(&view).join("\n");
    assert!(text.contains(r#""2\n""#) && text.contains(r#""3\n""#), "{text}");
    assert_eq!(view["complete"], false);
}

fn a_fork_bomb_and_endless_output_are_cut_short_and_said() {
    let place = Place::new("hostile", &[]);
    for script in ["f() { f & f; }; f", "while :; do echo yes; done"] {
        let view = place.explore(&["--budget", "1"], &["/bin/sh", "-c", script]);
        assert_eq!(view["outcomes"][0]["verdict"], "cut-short", "{script}");
        assert_eq!(view["complete"], false);
    }
}

fn what_the_kernel_would_choose_is_the_same_in_every_run() {
    let place = Place::new("chosen", &[]);
    let Some(program) = place.compile(CHOSEN) else { return };
    let [one, two] = [(); 2].map(|()| place.explore(&[], &[&program]));
    if one["uncontrolled"].to_string().contains("process numbers") {
        println!("left out: there are no namespaces here");
        assert_eq!(one["complete"], false);
        return;
    }
    assert_eq!(one["complete"], true, "{}", one["uncontrolled"]);
    assert_eq!(one["outcomes"].as_array().unwrap().len(), 1, "{}", one["outcomes"]);
    assert_eq!(one["outcomes"][0]["stdout"], two["outcomes"][0]["stdout"]);
    assert_eq!(one["outcomes"][0]["files"], two["outcomes"][0]["files"]);
}

/// Numbers of processes, a random name, a time of a file, an inode number, a clock, an address.
const CHOSEN: &str = r#"
#define _GNU_SOURCE
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
int main(void) {
    for (int i = 0; i < 2; i++)
        if (!fork()) {
            char name[] = "aXXXXXX";
            int f = mkstemp(name);
            struct stat s;
            struct timespec t;
            struct rusage u;
            fstat(f, &s);
            clock_gettime(CLOCK_MONOTONIC, &t);
            getrusage(RUSAGE_SELF, &u);
            unsigned counter = 0;
#ifdef __x86_64__
            counter = __builtin_ia32_rdtsc();
#endif
            dprintf(f, "%d %d %ld %ld %ld %p %ld %u", getpid(), getppid(), (long)s.st_mtime, (long)s.st_ino,
                    t.tv_nsec, (void *)&s, u.ru_utime.tv_usec, counter);
            _exit(0);
        }
    while (wait(0) > 0) {}
    DIR *d = opendir(".");
    for (struct dirent *e; (e = readdir(d));) puts(e->d_name);
    return 0;
}"#;
