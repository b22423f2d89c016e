//! Programs that pass their tests and are wrong, and the reason that is told.

use std::path::Path;

use libtest_mimic::Trial;

use super::{hand_in, json, part};
use crate::common::trials;
use crate::traced_verbs::Place;

pub(crate) fn tests() -> Vec<Trial> {
    trials!["labs":
        what_is_subtly_wrong_loses_points_and_is_told_why,
        a_buffer_without_a_mutex_loses_points_though_no_call_shows_it,
    ]
}

/// Philosophers in C, who take the fork on their left first unless `TABLE` lets one at a time sit down.
const TABLE: &str = r#"
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>
static void take(const char *name, int number)
{
    char path[16];
    snprintf(path, sizeof path, name, number);
    flock(open(path, O_RDWR | O_CREAT, 0644), LOCK_EX);
}
int main(void)
{
    for (int i = 0; i < 3; i++)
        if (fork() == 0) {
            TABLE
            take("fork%d", i);
            take("fork%d", (i + 1) % 3);
            dprintf(1, "%d eats\n", i);
            _exit(0);
        }
    int status, worst = 0;
    while (wait(&status) > 0)
        worst |= status != 0;
    return worst;
}
"#;

/// A semaphore that nobody has to wait for is no system call, so the explorer cannot stop a consumer there.
fn a_buffer_without_a_mutex_loses_points_though_no_call_shows_it() {
    if !["python3", "cc"].iter().all(|needed| Path::new("/usr/bin").join(needed).exists()) {
        println!("left out: python3 or cc is not installed");
        return;
    }
    let place = Place::new("lab-mutex", &[]);
    let right = include_str!("../../../data/labs/producer-consumer/solution/buffer.c");
    let (head, takes) = right.split_once("static int take").unwrap();
    let without = |text: &str| {
        text.lines()
            .filter(|line| !line.contains("&b->mutex);"))
            .map(|line| format!("{line}\n"))
            .collect::<String>()
    };
    for (name, text, is_right) in [
        ("guarded", right.to_owned(), true),
        ("consumers", format!("{head}static int take{}", without(takes)), false),
        ("nobody", without(right), false),
    ] {
        hand_in(&place, name, &[("buffer.c", &text)]);
        let words = [
            "lab",
            "--lang",
            "en",
            "grade",
            "producer-consumer",
            "--student",
            "ada",
            "--format",
            "json",
            name,
        ];
        let part = part(&json(&place.command(&words).output().unwrap()), "buffer").clone();
        assert_eq!(part["state"] == "right", is_right, "{name}: {part:#}");
        let failed = &part["tests"][2]["failed"];
        assert_eq!(failed.is_null(), is_right, "{name}: {part:#}");
        assert!(
            is_right || failed["stderr"].as_str().unwrap().contains("of its instructions"),
            "{name}: {part:#}"
        );
    }
}

fn what_is_subtly_wrong_loses_points_and_is_told_why() {
    if !["python3", "cc"].iter().all(|needed| Path::new("/usr/bin").join(needed).exists()) {
        println!("left out: python3 or cc is not installed");
        return;
    }
    let place = Place::new("lab-subtle", &[]);
    let graded = |name: &str, folder: &str, id: &str| {
        let words = ["lab", "--lang", "en", "grade", name, "--student", "ada", "--format", "json", folder];
        part(&json(&place.command(&words).output().unwrap()), id).clone()
    };
    // A file that is named like the program is the program's own business.
    hand_in(&place, "seats", &[("table.c", &TABLE.replace("TABLE", "take(\"table\", 0);"))]);
    let right = graded("deadlock", "seats", "table");
    assert_eq!(right["state"], "right", "{right:#}");
    hand_in(&place, "left", &[("table.c", &TABLE.replace("TABLE", ""))]);
    let deadlock = graded("deadlock", "left", "table");
    let why = deadlock["schedule"]["why"].as_str().unwrap_or_default();
    assert!(why.contains("main.1 waits: flock(fork1, LOCK_EX), held by main.2"), "{deadlock:#}");
    // A lock file that its holder removes keeps nobody out who waits for it, once another has made it anew.
    let solution = include_str!("../../../data/labs/twelve-locks/solution/removed.c");
    let removed = solution.replace("close(lock);", "unlink(\"lock\"); close(lock);");
    assert_ne!(removed, solution);
    hand_in(&place, "removes", &[("removed.c", &removed)]);
    let wrong = graded("twelve-locks", "removes", "removed");
    assert_eq!(wrong["state"], "partly", "{wrong:#}");
    assert!(wrong.to_string().contains("they had locked two different files"), "{wrong:#}");
}
