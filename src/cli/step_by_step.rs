//! You are the scheduler: a key for each step.

use std::io::{IsTerminal, Read, Write};
use std::os::fd::AsFd;

use console::{Key, Term};

use super::fault::Fault;
use super::lab::{Bench, Finding, failed};
use super::replay::text;
use crate::explore::engine::{Divergence, Point, execute};
use crate::explore::step::{Choice, Event, letter};
use crate::explore::strategy::{Decision, Strategy};
use crate::scenario::run::verdict::Verdict;
use crate::sys::poll::{Deadline, readable};
use crate::sys::signal::Interrupt;

/// Executes `choices` as far as the person agrees; what is told at the end, and whether all was right.
pub(super) fn run(bench: &mut Bench<'_>, choices: Vec<Choice>) -> Result<(String, Finding), Fault> {
    let keys = Keys { interrupt: bench.interrupt, typed: Vec::new() };
    let mut person = Person { choices, steps: 0, previous: None, on_way: true, keys };
    let trace = execute(&mut *bench.lab, &mut person, usize::MAX).map_err(|error| failed(&error))?;
    let Some(trace) = trace else {
        if let Some(signal) = bench.interrupt.received() {
            return Err(Fault::interrupted(signal));
        }
        return Ok(("stopped: the processes are called back\n".to_owned(), Finding::Right));
    };
    let witness = bench.describe(&trace)?;
    let again = format!("again: proclab replay {}\n", witness.token);
    Ok((format!("\n{}{again}", text(&witness)), Finding::of(witness.verdict == Verdict::Ok)))
}

/// Asks at every point.
struct Person {
    choices: Vec<Choice>,
    steps: usize,
    previous: Option<usize>,
    /// Whether all decisions so far were those of the schedule.
    on_way: bool,
    keys: Keys,
}

impl Strategy for Person {
    fn begin(&mut self) -> bool {
        true
    }

    fn decide(&mut self, point: &Point<'_>) -> Result<Decision, Divergence> {
        let scheduled = self
            .choices
            .get(self.steps)
            .copied()
            .filter(|choice| self.on_way && point.choices.contains(choice));
        let go_on = self.previous.map(Choice::step).filter(|choice| point.choices.contains(choice));
        let first = point.choices.iter().copied().find(|choice| !choice.kill);
        let usual = scheduled.or(go_on).or(first);
        let Some(usual) = usual else { return Ok(Decision::GiveUp) };
        loop {
            self.ask(point, usual, scheduled.is_some());
            match self.keys.next() {
                Some('\n') => return Ok(Decision::Take(usual)),
                Some('q') | None => return Ok(Decision::GiveUp),
                Some(key) if key.is_ascii_alphabetic() => {
                    let process = (key.to_ascii_lowercase() as u8 - b'a').into();
                    let choice =
                        if key.is_ascii_uppercase() { Choice::kill(process) } else { Choice::step(process) };
                    if point.choices.contains(&choice) {
                        return Ok(Decision::Take(choice));
                    }
                    self.say(&format!("{} cannot go on now\n", letter(process)));
                }
                Some(_) => {}
            }
        }
    }

    fn refused(&mut self, point: &Point<'_>, process: usize) -> Result<(), Divergence> {
        let step = point.step(Choice::step(process)).map_or(String::new(), |step| step.to_string());
        self.say(&format!("      {} is refused at {step}, and waits\n", letter(process)));
        Ok(())
    }

    fn done(&mut self, event: &Event) -> Result<(), Divergence> {
        self.on_way &= self.choices.get(self.steps) == Some(&event.choice);
        self.steps += 1;
        self.previous = Some(event.choice.index());
        self.say(&format!("{:>4}  {event}\n", self.steps));
        Ok(())
    }
}

impl Person {
    fn ask(&mut self, point: &Point<'_>, usual: Choice, scheduled: bool) {
        let waiting = point.pending.iter().enumerate().map(|(process, step)| {
            let enabled = point.choices.contains(&Choice::step(process));
            match step {
                Some(step) if enabled => format!("{} at {step}", letter(process)),
                Some(step) => format!("{} waits at {step}", letter(process)),
                None => format!("{} has ended", letter(process)),
            }
        });
        let waiting: Vec<_> = waiting.collect();
        let why = if scheduled { ", as the schedule says" } else { "" };
        let verb = if usual.kill { "kill " } else { "" };
        self.say(&format!(
            "{}   [Enter: {verb}{}{why}; a letter: that one; a capital: kill it; q: stop] ",
            waiting.join(", "),
            letter(usual.index())
        ));
    }

    /// Prompts go to standard error, as those of any program whose output may be redirected.
    fn say(&self, text: &str) {
        let mut out = std::io::stderr();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
}

/// What the person types.
struct Keys {
    interrupt: Interrupt,
    /// What has come of lines that are not yet taken.
    typed: Vec<u8>,
}

impl Keys {
    /// One key, or the first of a line where there is no terminal; `None` at the end of the input, and after a
    /// signal that asks the program to end.
    fn next(&mut self) -> Option<char> {
        if self.interrupt.received().is_some() {
            return None;
        }
        let key = if std::io::stdin().is_terminal() { pressed()? } else { self.line()? };
        eprint_newline();
        Some(key)
    }

    fn line(&mut self) -> Option<char> {
        let mut ended = false;
        let length = loop {
            if let Some(at) = self.typed.iter().position(|byte| *byte == b'\n') {
                break at + 1;
            }
            if ended {
                break self.typed.len();
            }
            let stdin = std::io::stdin();
            let ready = readable(&[stdin.as_fd(), self.interrupt.as_fd()], Deadline::NEVER).ok()?;
            if ready[1] {
                return None;
            }
            // As much as the standard input keeps: nothing may be left there that the poll does not see.
            let mut bytes = [0; 8192];
            let n = stdin.lock().read(&mut bytes).ok()?;
            self.typed.extend_from_slice(&bytes[..n]);
            ended = n == 0;
        };
        let line: Vec<u8> = self.typed.drain(..length).collect();
        (length > 0).then(|| String::from_utf8_lossy(&line).trim().chars().next().unwrap_or('\n'))
    }
}

/// The key that is pressed. Ctrl-C raises its signal, as it does outside of this wait.
fn pressed() -> Option<char> {
    Some(match Term::stderr().read_key().ok()? {
        Key::Enter | Key::Char(' ') => '\n',
        Key::Char(key) => key,
        Key::Escape => 'q',
        _ => '?',
    })
}

fn eprint_newline() {
    let _ = std::io::stderr().write_all(b"\n");
}
