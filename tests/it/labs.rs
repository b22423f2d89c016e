//! Labs as a student, a lecturer and an autograder meet them.

use crate::common::trials;
use crate::traced_verbs::Place;
use libtest_mimic::Trial;
use serde_json::Value;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

mod students;

pub(crate) fn tests() -> Vec<Trial> {
    let mut tests = trials!["labs":
        a_student_predicts_and_sees_what_is_so_line_by_line,
        answers_that_are_malformed_are_named_by_place_and_the_others_count,
        a_lab_of_a_lecturer_is_found_and_its_mistake_is_told_with_the_mend,
        hostile_programs_are_ended_told_and_leave_nothing,
        a_wrong_program_is_shown_a_schedule_that_replays_and_a_right_one_is_proved,
        a_part_with_kills_wants_a_file_that_is_whole_whenever_the_program_is_killed,
        programs_of_every_language_are_right_with_the_lock_and_wrong_without,
        a_program_that_waits_by_looking_again_is_right_and_one_that_looks_for_ever_is_not,
        the_formats_of_autograders_are_those_that_they_publish,
        many_submissions_are_marked_as_each_alone,
        on_a_terminal_a_saved_file_is_checked_and_a_terminal_that_closes_ends_the_loop,
        what_is_subtly_wrong_loses_points_and_is_told_why,
        a_test_that_fails_by_chance_decides_nothing_once_a_schedule_explains_it,
        every_lab_is_solved_by_its_solution_and_not_by_its_starter,
    ];
    tests.extend(students::tests());
    tests
}

/// A lab that needs nothing but a shell.
const CARD: &str = r#"
minutes = 5
[vary]
n = [2, 3, 4]
[[part]]
id = "sum"
kind = "number"
points = 2
command = ["sh", "-c", "echo $(({{n}} + {{n}}))"]
[[part]]
id = "all"
kind = "set"
points = 3
explore = ["sh", "-c", "echo a >> log & echo b >> log; wait"]
take = "file:log"
[[part]]
id = "add"
kind = "program"
points = 4
file = "add.*"
limits = { seconds = 30, processes = 40 }
check = 'test "$(cat n)" = 3 || { echo "n is $(cat n)"; exit 1; }'
[[part.test]]
name = "it ends well"
seconds = 2
exit = 0
"#;
const SHEET: &str = "# A lab\nHello.\n## sum: A sum\nHow much is {{n}} and {{n}}?\n> Hint: add\n> Why: so\n\
    ## all: All\nWhat can log hold?\n> Hint: two\n## add: Add\nAdd one twice.\n> Hint: lock\n";
/// Adds one twice, by two processes; wrong without a lock.
const RACE: &str = "inc() { read x < n; echo $((x + 1)) > n; }\ninc & inc & wait\n";
/// One after the other.
const RIGHT: &str = "inc() { read x < n; echo $((x + 1)) > n; }\n(inc); (inc)\n";

pub(crate) fn place(name: &str) -> Place {
    let place = Place::new(name, &[]);
    for (file, text) in [("lab.toml", CARD), ("en.md", SHEET), ("zh.md", SHEET), ("files/n", "1\n")] {
        let path = place.path().join("labs/tiny").join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    place
}

pub(crate) fn lab(place: &Place, words: &[&str]) -> Command {
    let mut command = place.command(&["lab", "--lang", "en", "--labs", "labs"]);
    command.args(words).env("XDG_STATE_HOME", place.path().join("state")).env("LOGNAME", "ada");
    command
}

pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", said(output)))
}

pub(crate) fn hand_in(place: &Place, folder: &str, files: &[(&str, &str)]) {
    let folder = place.path().join(folder);
    std::fs::create_dir_all(&folder).unwrap();
    for (name, text) in files {
        std::fs::write(folder.join(name), text).unwrap();
    }
}

pub(crate) fn grade(place: &Place, folder: &str, format: &str) -> Value {
    json(&lab(place, &["grade", "tiny", "--student", "ada", "--format", format, folder]).output().unwrap())
}

pub(crate) fn part<'v>(mark: &'v Value, id: &str) -> &'v Value {
    mark["parts"].as_array().unwrap().iter().find(|part| part["id"] == id).unwrap()
}

fn a_student_predicts_and_sees_what_is_so_line_by_line() {
    let place = place("lab-work");
    let mut child =
        lab(&place, &["work", "tiny"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"?\nmany\n1000\n>\na\na b, b a\n").unwrap();
    let text = said(&child.wait_with_output().unwrap());
    for expected in
        ["Hint 1/1: add", "\"many\"", "1000", "✗", "a b", "✓", "1 of 3 parts are right, 3 of 9 points"]
    {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    // What was typed is kept, and what was right stays so.
    let answers = std::fs::read_to_string(place.path().join("tiny/answers.toml")).unwrap();
    assert!(answers.contains("all = \"a b, b a\""), "{answers}");
    let list = said(&lab(&place, &[]).output().unwrap());
    assert!(list.lines().any(|line| line.contains("tiny") && line.contains("3/9")), "{list}");
    let check = lab(&place, &["check", "tiny"]).output().unwrap();
    assert_eq!(check.status.code(), Some(3), "{}", said(&check));
    let chinese = said(&lab(&place, &["check", "tiny", "--lang", "zh"]).output().unwrap());
    assert!(chinese.contains("得分"), "{chinese}");
}

fn answers_that_are_malformed_are_named_by_place_and_the_others_count() {
    let place = place("lab-malformed");
    hand_in(&place, "in", &[("answers.toml", "sum = = 4\nall = [\"a b\", \"b a\"]\nother = 1\n")]);
    let mark = grade(&place, "in", "json");
    assert_eq!(part(&mark, "all")["score"], 3.0, "{mark:#}");
    let places: Vec<(u64, u64)> = mark["answers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["line"].as_u64().unwrap(), one["column"].as_u64().unwrap()))
        .collect();
    assert_eq!(places, [(1, 7), (3, 1)], "{mark:#}");
    // A file that is none is told, too, and the programs count.
    hand_in(&place, "link", &[("add.sh", RIGHT)]);
    std::os::unix::fs::symlink("/dev/zero", place.path().join("link/answers.toml")).unwrap();
    let mark = grade(&place, "link", "json");
    assert!(mark["answers"][0]["what"].as_str().unwrap_or_default().contains("symbolic link"), "{mark:#}");
    assert_eq!(part(&mark, "add")["state"], "right", "{mark:#}");
}

fn a_lab_of_a_lecturer_is_found_and_its_mistake_is_told_with_the_mend() {
    let place = place("lab-mistake");
    let card = place.path().join("labs/tiny/lab.toml");
    std::fs::write(&card, CARD.replace("kind = \"set\"", "kind = \"sett\"")).unwrap();
    let output = lab(&place, &["author", "check", "labs/tiny"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("lab.toml:12:8"), "{}", said(&output));
    std::fs::write(&card, CARD).unwrap();
    std::fs::write(place.path().join("labs/tiny/zh.md"), SHEET.replace("> Hint: lock\n", "")).unwrap();
    let output = lab(&place, &["start", "tiny"]).output().unwrap();
    assert!(said(&output).contains("zh.md:10:1: part `add` has no hint"), "{}", said(&output));
    assert!(said(&output).contains("hint: add `> Hint"), "{}", said(&output));
}

fn hostile_programs_are_ended_told_and_leave_nothing() {
    let place = place("lab-hostile");
    let mark = format!("proclab-hostile-{}", std::process::id());
    let outside = place.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    for (name, text, bound) in [
        ("fork", format!(": {mark}; f() {{ f & f & wait; }}; f; f\n"), "processes"),
        ("deaf", format!(": {mark}; trap '' TERM INT HUP; while :; do sleep 1; done\n"), "time"),
        (
            "loud",
            format!(": {mark}; while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done\n"),
            "output",
        ),
        (
            "full",
            format!(
                ": {mark}; while :; do cat big big > more 2> /dev/null || echo x > big; mv more big; done\n"
            ),
            "",
        ),
        ("daemon", format!("setsid sh -c ': {mark}; sleep 600' > /dev/null 2>&1 &\nsleep 0.2\n"), ""),
        ("wait", format!(": {mark}; mkfifo p; read x < p\n"), "time"),
        ("killer", format!(": {mark}; setsid sh -c ': {mark}; sleep 600' & kill -9 $PPID; sleep 600\n"), ""),
    ] {
        hand_in(&place, name, &[("add.sh", &text)]);
        let graded = grade(&place, name, "json");
        let part = part(&graded, "add");
        assert_eq!(
            (part["state"].as_str(), part["score"].as_f64()),
            (Some("wrong"), Some(0.0)),
            "{name}: {part:#}"
        );
        let failed = &part["tests"][0]["failed"];
        assert!(failed["reason"].is_string(), "{name}: {part:#}");
        if !bound.is_empty() {
            assert_eq!(failed["bound"], bound, "{name}: {part:#}");
        }
    }
    // Where no namespaces are allowed, as in most containers, the same holds.
    let words = ["grade", "tiny", "--student", "ada", "killer"];
    let alone = lab(&place, &words);
    let mut refused = Command::new("unshare");
    refused
        .args(["-Ur", "sh", "-c", "echo 0 > /proc/sys/user/max_pid_namespaces && exec \"$@\"", "sh"])
        .arg(alone.get_program())
        .args(alone.get_args())
        .envs(alone.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .current_dir(place.path());
    match refused.output() {
        Ok(output) if output.status.success() => {
            let graded = json(&output);
            assert_eq!(part(&graded, "add")["tests"][0]["failed"]["reason"], "interfered", "{graded:#}");
        }
        _ => println!("left out: no user namespace can be made here"),
    }
    let living = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok).filter(|entry| {
        std::fs::read(entry.path().join("cmdline"))
            .is_ok_and(|line| String::from_utf8_lossy(&line).contains(&mark))
    });
    assert_eq!(living.count(), 0, "nothing of them is left");
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

fn the_formats_of_autograders_are_those_that_they_publish() {
    let place = place("lab-formats");
    hand_in(&place, "in", &[("answers.toml", "all = \"a b,\"\n"), ("add.sh", RIGHT)]);
    let gradescope = grade(&place, "in", "gradescope");
    let tests = gradescope["tests"].as_array().unwrap();
    assert_eq!(tests.iter().map(|test| test["score"].as_f64().unwrap()).sum::<f64>(), 5.5, "{gradescope:#}");
    for test in tests {
        assert!(test["max_score"].is_number() && test["output"].is_string() && test["name"].is_string());
        assert!(["passed", "failed"].contains(&test["status"].as_str().unwrap()));
        assert!(
            ["hidden", "after_due_date", "after_published", "visible"]
                .contains(&test["visibility"].as_str().unwrap())
        );
    }
    let exercism = grade(&place, "in", "exercism");
    assert_eq!((exercism["version"].as_u64(), exercism["status"].as_str()), (Some(3), Some("fail")));
    assert!(exercism["message"].is_null());
    for test in exercism["tests"].as_array().unwrap() {
        assert!(["pass", "fail", "error"].contains(&test["status"].as_str().unwrap()), "{test:#}");
        assert!(test["test_code"].is_string() && test["task_id"].is_u64());
        assert!(test["output"].as_str().is_none_or(|output| output.chars().count() <= 500));
        assert_eq!(test["message"].is_string(), test["status"] != "pass", "{test:#}");
    }
    let own = grade(&place, "in", "json");
    let schema = json(&place.command(&["schema", "lab"]).output().unwrap());
    let validator = jsonschema::validator_for(&schema).unwrap();
    assert!(validator.is_valid(&own), "{own:#}");
    assert_eq!(own, grade(&place, "in", "json"), "the same input has the same result");
}

fn many_submissions_are_marked_as_each_alone() {
    let place = place("lab-all");
    let log = place.path().join("measured");
    let command = format!("echo once >> '{}'; echo $(({{{{n}}}} + {{{{n}}}}))", log.display());
    let card = CARD.replace("echo $(({{n}} + {{n}}))", &command).replace("n = [2, 3, 4]", "n = [2]");
    std::fs::write(place.path().join("labs/tiny/lab.toml"), card).unwrap();
    for (name, answer) in [("ada", "4"), ("bob", "6"), ("=eve", "8")] {
        hand_in(&place, &format!("all/{name}"), &[("answers.toml", &format!("sum = {answer}\n"))]);
    }
    let table = said(&lab(&place, &["grade", "tiny", "--all", "all", "--csv"]).output().unwrap());
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines[0], "student,score,max,sum,all,add,note");
    assert_eq!(lines.len(), 4, "{table}");
    let measured = std::fs::read_to_string(&log).unwrap();
    assert_eq!(measured.lines().count(), 1, "the same truth is measured once for all who are asked for it");
    for name in ["ada", "bob"] {
        let alone = json(
            &lab(&place, &["grade", "tiny", "--student", name, &format!("all/{name}")]).output().unwrap(),
        );
        let line = lines.iter().find(|line| line.starts_with(name)).unwrap();
        assert_eq!(line.split(',').nth(1).unwrap().parse::<f64>().unwrap(), alone["score"].as_f64().unwrap());
    }
}

fn on_a_terminal_a_saved_file_is_checked_and_a_terminal_that_closes_ends_the_loop() {
    let place = place("lab-terminal");
    assert!(lab(&place, &["start", "tiny"]).output().unwrap().status.success());
    let size = nix::pty::Winsize { ws_row: 24, ws_col: 50, ws_xpixel: 0, ws_ypixel: 0 };
    let pty = nix::pty::openpty(Some(&size), None).unwrap();
    // `openpty(3)` leaves both open across exec, and a terminal that its own program holds never closes.
    let only_here = nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC);
    nix::fcntl::fcntl(&pty.master, only_here).unwrap();
    let mut child = lab(&place, &["work", "tiny"])
        .env("TERM", "xterm")
        .stdin(pty.slave.try_clone().unwrap())
        .stdout(pty.slave.try_clone().unwrap())
        .stderr(pty.slave)
        .spawn()
        .unwrap();
    let mut screen = Screen { terminal: pty.master.into(), seen: String::new() };
    screen.shows("A sum");
    // Both predictions are passed over, and the program part is at work.
    screen.terminal.write_all(b">").unwrap();
    screen.shows("log hold");
    screen.terminal.write_all(b">").unwrap();
    screen.shows("Save your file");
    std::fs::write(place.path().join("tiny/add.sh"), RIGHT).unwrap();
    screen.shows("Right!");
    drop(screen);
    let deadline = Instant::now() + Duration::from_secs(20);
    let ended = loop {
        match child.try_wait().unwrap() {
            Some(status) => break Some(status),
            None if Instant::now() > deadline => break None,
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    if ended.is_none() {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(ended.is_some(), "the loop goes on without a terminal");
}

/// What a program has drawn on a terminal.
struct Screen {
    terminal: std::fs::File,
    seen: String,
}

impl Screen {
    /// Waits until this has been drawn since the last time. Blanks are drawn by moving the cursor, so they do not count.
    fn shows(&mut self, expected: &str) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !self.plain().contains(&expected.replace(' ', "")) {
            let mut fds = [nix::poll::PollFd::new(self.terminal.as_fd(), nix::poll::PollFlags::POLLIN)];
            nix::poll::poll(&mut fds, 1000_u16).unwrap();
            assert!(Instant::now() < deadline, "{expected}: {}", self.plain());
            if fds[0].any() == Some(true) {
                let mut bytes = [0; 4096];
                let n = self.terminal.read(&mut bytes).unwrap();
                self.seen.push_str(&String::from_utf8_lossy(&bytes[..n]));
            }
        }
        self.seen.clear();
    }

    /// What was drawn, without blanks and the sequences that move the cursor.
    fn plain(&self) -> String {
        anstream::adapter::strip_str(&self.seen).to_string().replace(' ', "")
    }
}

/// One variant of each lab, so that it stays cheap; `lab author check --all` proves twenty.
fn every_lab_is_solved_by_its_solution_and_not_by_its_starter() {
    for needed in ["python3", "cc"] {
        let is_there = |folder: &str| Path::new(folder).join(needed).exists();
        if !["/usr/local/bin", "/usr/bin", "/bin"].into_iter().any(is_there) {
            println!("left out: {needed} is not installed");
            return;
        }
    }
    let place = Place::new("lab-author", &[]);
    let mut command =
        place.command(&["lab", "author", "check", "--all", "--variants", "1", "--measurements", "1"]);
    let output = command.output().unwrap();
    // On a machine that is busy with other things a limit may have little to spare, which is no fault of the lab.
    let said = said(&output);
    let faults: Vec<&str> =
        said.lines().filter(|line| line.starts_with("    ") && !line.contains("raise")).collect();
    assert!(matches!(output.status.code(), Some(0 | 3)) && faults.is_empty(), "{said}");
    assert_eq!(said.matches(['✓', '✗']).count(), 12, "{said}");
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
    let solution = include_str!("../../data/labs/twelve-locks/solution/removed.c");
    let removed = solution.replace("close(lock);", "unlink(\"lock\"); close(lock);");
    assert_ne!(removed, solution);
    hand_in(&place, "removes", &[("removed.c", &removed)]);
    let wrong = graded("twelve-locks", "removes", "removed");
    assert_eq!(wrong["state"], "partly", "{wrong:#}");
    assert!(wrong.to_string().contains("they had locked two different files"), "{wrong:#}");
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
