//! How a student's program is marked: by its tests, and by the schedules under which it is wrong.

use std::path::Path;
use std::process::Command;

use libtest_mimic::Trial;
use serde_json::Value;
use std::io::Write;

use super::{CARD, RACE, RIGHT, grade, hand_in, json, lab, part, place, said};
use crate::common::trials;

pub(crate) fn tests() -> Vec<Trial> {
    trials!["labs":
        a_wrong_program_is_shown_a_schedule_that_replays_and_a_right_one_is_proved,
        a_part_with_kills_wants_a_file_that_is_whole_whenever_the_program_is_killed,
        programs_of_every_language_are_right_with_the_lock_and_wrong_without,
        a_program_that_waits_by_looking_again_is_right_and_one_that_looks_for_ever_is_not,
        a_test_that_fails_by_chance_decides_nothing_once_a_schedule_explains_it,
    ]
}

fn a_wrong_program_is_shown_a_schedule_that_replays_and_a_right_one_is_proved() {
    let place = place("lab-program");
    hand_in(&place, "race", &[("add.sh", RACE)]);
    hand_in(&place, "right", &[("add.sh", RIGHT)]);
    // The student's own n is not the lab's: it counts for nothing.
    hand_in(&place, "cheat", &[("add.sh", "exit 0\n"), ("n", "3\n")]);
    let race = grade(&place, "race", "json");
    let bad = &part(&race, "add")["schedule"];
    assert!(bad["why"].as_str().unwrap().contains("n is "), "{race:#}");
    std::fs::copy(place.path().join("labs/tiny/files/n"), place.path().join("race/n")).unwrap();
    let replay = bad["replay"].as_str().unwrap().replace("proclab", env!("CARGO_BIN_EXE_proclab"));
    let output =
        Command::new("sh").args(["-c", &replay]).current_dir(place.path().join("race")).output().unwrap();
    assert!(matches!(output.status.code(), Some(0 | 3)), "{replay}: {}", said(&output));
    let right = grade(&place, "right", "json");
    assert_eq!(part(&right, "add")["state"], "right", "{right:#}");
    let cheat = grade(&place, "cheat", "json");
    assert_eq!(part(&cheat, "add")["state"], "partly", "{cheat:#}");
}

/// A part whose program must leave a whole file whenever it is killed.
const KILLED: &str = r#"
minutes = 5
[[part]]
id = "save"
kind = "program"
points = 2
file = "save.*"
kills = 1
check = 'test -s n || { echo "n is empty"; exit 1; }'
"#;

fn a_part_with_kills_wants_a_file_that_is_whole_whenever_the_program_is_killed() {
    let place = place("lab-kills");
    let sheet = "# A lab\nHello.\n## save: Save\nWrite 2 into n.\n> Hint: rename\n";
    for (file, text) in [("lab.toml", KILLED), ("en.md", sheet), ("zh.md", sheet)] {
        std::fs::write(place.path().join("labs/tiny").join(file), text).unwrap();
    }
    hand_in(&place, "direct", &[("save.sh", "echo 2 > n\n")]);
    hand_in(&place, "aside", &[("save.sh", "echo 2 > new; exec mv new n\n")]);
    let direct = grade(&place, "direct", "json");
    let bad = &part(&direct, "save")["schedule"];
    assert!(bad["why"].as_str().unwrap().contains("n is empty"), "{direct:#}");
    let steps = bad["steps"].as_array().unwrap();
    assert_eq!(steps.iter().filter(|step| step["killed"] == true).count(), 1, "{direct:#}");
    let aside = grade(&place, "aside", "json");
    assert_eq!(part(&aside, "save")["state"], "right", "{aside:#}");
}

/// Two processes each add one to the number in the file `n`, under `LOCK`, in each language.
const PROGRAMS: [(&str, &str, &str, &str); 3] = [
    (
        "python3",
        "add.py",
        "fcntl.flock(f, fcntl.LOCK_EX)",
        r#"import fcntl, os
for _ in range(2):
    if os.fork() == 0:
        f = os.open("n", os.O_RDWR)
        LOCK
        os.pwrite(f, b"%d\n" % (int(os.pread(f, 9, 0)) + 1), 0)
        os._exit(0)
os.wait()
os.wait()
"#,
    ),
    (
        "cc",
        "add.c",
        "flock(f, LOCK_EX);",
        r#"#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>
int main(void) {
    for (int i = 0; i < 2; i++)
        if (fork() == 0) {
            char text[16] = "";
            int f = open("n", O_RDWR);
            LOCK
            pread(f, text, 9, 0);
            int length = snprintf(text, sizeof text, "%d\n", atoi(text) + 1);
            pwrite(f, text, length, 0);
            _exit(0);
        }
    wait(NULL);
    wait(NULL);
}
"#,
    ),
    (
        "rustc",
        "add.rs",
        "f.lock().unwrap();",
        r#"use std::os::unix::fs::FileExt;
fn main() {
    if std::env::args().count() > 1 {
        let f = std::fs::OpenOptions::new().read(true).write(true).open("n").unwrap();
        LOCK
        let mut text = [0; 9];
        let length = f.read_at(&mut text, 0).unwrap();
        let n: i32 = std::str::from_utf8(&text[..length]).unwrap().trim().parse().unwrap();
        f.write_at(format!("{}\n", n + 1).as_bytes(), 0).unwrap();
        return;
    }
    let program = std::env::current_exe().unwrap();
    let start = || std::process::Command::new(&program).arg("one").spawn().unwrap();
    for mut child in [start(), start()] {
        child.wait().unwrap();
    }
}
"#,
    ),
];

fn programs_of_every_language_are_right_with_the_lock_and_wrong_without() {
    let place = place("lab-languages");
    let path = std::env::var_os("PATH").unwrap_or_default();
    for (needed, file, lock, text) in PROGRAMS {
        if !std::env::split_paths(&path).any(|folder| folder.join(needed).is_file()) {
            println!("left out: {needed} is not installed");
            continue;
        }
        for (folder, with, state) in [("right", lock, "right"), ("race", "", "partly")] {
            let folder = format!("{needed}-{folder}");
            hand_in(&place, &folder, &[(file, &text.replace("LOCK\n", &format!("{with}\n")))]);
            let mut command = lab(&place, &["grade", "tiny", "--student", "ada", &folder]);
            let graded = json(&command.env("PATH", &path).output().unwrap());
            let part = part(&graded, "add");
            assert_eq!(part["state"], state, "{folder}: {part:#}");
            assert_eq!(part["schedule"].is_object(), with.is_empty(), "{folder}: {part:#}");
            if needed == "cc" && with.is_empty() {
                let steps = part["schedule"]["steps"].as_array().unwrap();
                let is_write = |step: &&Value| step["call"].as_str().unwrap().starts_with("pwrite(");
                let write = steps.iter().find(is_write).unwrap();
                assert_eq!(write["source"], "pwrite(f, text, length, 0);", "{part:#}");
                assert!(write["line"].as_str().unwrap().starts_with("add.c:"), "{part:#}");
            }
        }
    }
}

fn a_program_that_waits_by_looking_again_is_right_and_one_that_looks_for_ever_is_not() {
    let place = place("lab-looks-again");
    let path = std::env::var_os("PATH").unwrap_or_default();
    if !std::env::split_paths(&path).any(|folder| folder.join("cc").is_file()) {
        println!("left out: cc is not installed");
        return;
    }
    let (_, file, _, text) = PROGRAMS.iter().find(|(needed, ..)| *needed == "cc").unwrap();
    let look = r#"while (open("lock", O_CREAT | O_EXCL, 0600) < 0);"#;
    for (folder, end, state) in
        [("released", r#"unlink("lock"); _exit(0);"#, "right"), ("kept", "_exit(0);", "wrong")]
    {
        let text = text.replace("LOCK\n", &format!("{look}\n")).replace("_exit(0);", end);
        hand_in(&place, folder, &[(file, &format!("#include <fcntl.h>\n{text}"))]);
        let mut command = lab(&place, &["grade", "tiny", "--student", "ada", folder]);
        let graded = json(&command.env("PATH", &path).output().unwrap());
        assert_eq!(part(&graded, "add")["state"], state, "{folder}: {graded:#}");
    }
}

fn a_test_that_fails_by_chance_decides_nothing_once_a_schedule_explains_it() {
    let place = place("lab-chance");
    // What a test finds is written here, one word per run. A pipe can be read from a file system that is read-only.
    let chance =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("proclab-it-chance-{}", std::process::id()));
    let _ = std::fs::remove_file(&chance);
    nix::unistd::mkfifo(&chance, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut words = std::fs::OpenOptions::new().read(true).write(true).open(&chance).unwrap();
    let run = format!(
        "name = \"it ends well\"\nrun = [\"sh\", \"-c\", \"read w < '{}'; exit $w\"]",
        chance.display()
    );
    std::fs::write(place.path().join("labs/tiny/lab.toml"), CARD.replace("name = \"it ends well\"", &run))
        .unwrap();
    hand_in(&place, "race", &[("add.sh", RACE)]);
    hand_in(&place, "right", &[("add.sh", RIGHT)]);
    let mut graded = |folder: &str, found: &str| {
        words.write_all(found.as_bytes()).unwrap();
        part(&grade(&place, folder, "json"), "add").clone()
    };
    let steady = graded("race", "0\n");
    assert_eq!((steady["score"].as_f64(), steady["schedule"].is_object()), (Some(2.0), true), "{steady:#}");
    let chance_met = graded("race", "1\n1\n0\n");
    // Which of the wrong schedules is the shortest found depends on how fast the machine is.
    assert!(chance_met["schedule"].is_object(), "{chance_met:#}");
    for same in ["state", "score", "tests"] {
        assert_eq!(steady[same], chance_met[same], "a race met by chance is marked as one that was not");
    }
    let never = graded("race", "1\n1\n1\n1\n1\n");
    assert_eq!((never["score"].as_f64(), never["schedule"].is_object()), (Some(0.0), false), "{never:#}");
    // Without a schedule that explains the failure it stands, though the next run passes.
    let unexplained = graded("right", "1\n0\n");
    assert_eq!(unexplained["state"], "wrong", "{unexplained:#}");
    assert_eq!(unexplained["tests"][0]["failed"]["reason"], "status", "{unexplained:#}");
    assert_eq!(graded("right", "0\n")["state"], "right");
    std::fs::remove_file(&chance).unwrap();
}
