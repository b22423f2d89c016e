//! Labs as a student meets them: question by question, on standard input and on a terminal.

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;

use super::{CARD, RIGHT, grade, hand_in, lab, part, place, said};
use crate::common::trials;
use crate::traced_verbs::Place;

pub(crate) fn tests() -> Vec<Trial> {
    trials!["labs":
        a_student_predicts_and_sees_what_is_so_line_by_line,
        answers_that_are_malformed_are_named_by_place_and_the_others_count,
        a_student_who_leaves_while_a_program_is_checked_need_not_wait_for_it,
        on_a_terminal_a_saved_file_is_checked_and_a_terminal_that_closes_ends_the_loop,
    ]
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

fn on_a_terminal_a_saved_file_is_checked_and_a_terminal_that_closes_ends_the_loop() {
    let place = place("lab-terminal");
    let (mut child, mut screen) = at_a_terminal(&place);
    // Both predictions are passed over, and the program part is at work.
    screen.terminal.write_all(b">").unwrap();
    screen.shows("log hold");
    screen.terminal.write_all(b">").unwrap();
    screen.shows("Save your file");
    std::fs::write(place.path().join("tiny/add.sh"), RIGHT).unwrap();
    screen.shows("Right!");
    drop(screen);
    assert!(is_over(&mut child), "the loop goes on without a terminal");
}

/// A student who works at a terminal, and what is shown there.
fn at_a_terminal(place: &Place) -> (Child, Screen) {
    assert!(lab(place, &["start", "tiny"]).output().unwrap().status.success());
    let size = nix::pty::Winsize { ws_row: 24, ws_col: 50, ws_xpixel: 0, ws_ypixel: 0 };
    let pty = nix::pty::openpty(Some(&size), None).unwrap();
    // `openpty(3)` leaves both open across exec, and a terminal that its own program holds never closes.
    let only_here = nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC);
    nix::fcntl::fcntl(&pty.master, only_here).unwrap();
    let child = lab(place, &["work", "tiny"])
        .env("TERM", "xterm")
        .stdin(pty.slave.try_clone().unwrap())
        .stdout(pty.slave.try_clone().unwrap())
        .stderr(pty.slave)
        .spawn()
        .unwrap();
    let mut screen = Screen { terminal: pty.master.into(), seen: String::new() };
    screen.shows("A sum");
    (child, screen)
}

fn a_student_who_leaves_while_a_program_is_checked_need_not_wait_for_it() {
    let place = place("lab-leaves");
    let card = CARD.replace("seconds = 2", "seconds = 300");
    std::fs::write(place.path().join("labs/tiny/lab.toml"), card).unwrap();
    // The last is no key: the terminal is closed.
    for key in ["\x1b", "\x03", ""] {
        let (mut child, mut screen) = at_a_terminal(&place);
        screen.terminal.write_all(b">").unwrap();
        screen.shows("log hold");
        screen.terminal.write_all(b">").unwrap();
        screen.shows("Save your file");
        std::fs::write(place.path().join("tiny/add.sh"), format!("# {}\nsleep 600\n", key.escape_debug()))
            .unwrap();
        screen.shows("1 s");
        screen.terminal.write_all(key.as_bytes()).unwrap();
        if key.is_empty() {
            drop(screen);
        } else {
            screen.shows("Your work is saved");
        }
        assert!(is_over(&mut child), "it goes on after {key:?}");
        std::fs::remove_dir_all(place.path().join("tiny")).unwrap();
        std::fs::remove_dir_all(place.path().join("state")).unwrap();
    }
}

/// Whether this ends soon. It is ended if not.
fn is_over(child: &mut Child) -> bool {
    let deadline = Instant::now() + Duration::from_secs(20);
    while Instant::now() < deadline {
        if child.try_wait().unwrap().is_some() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    false
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
