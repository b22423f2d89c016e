//! `replay --step`: the user is the scheduler and presses a key per step.

use std::io::Write;

use super::fault::Fault;
use super::gate::{Gated, failed};
use super::keys::{Key, Keys};
use super::output::{Finding, width};
use crate::explore::engine::{Divergence, Point, execute};
use crate::explore::step::{Access, Choice, Event, Label, letter};
use crate::explore::strategy::{Decision, Strategy};
use crate::scenario::experiment::State;
use crate::scenario::run::verdict::Verdict;

/// Executes `choices` as far as the user follows them. Returns the final report and the finding.
pub(super) fn run(bench: &mut Gated<'_>, choices: Vec<Choice>) -> Result<(String, Finding), Fault> {
    let state = bench.lab.viewer();
    let mut person = Person::new(choices, Keys::new(bench.interrupt), state);
    loop {
        let trace = execute(&mut *bench.lab, &mut person, usize::MAX).map_err(|error| failed(&error))?;
        if let Some(trace) = trace {
            let witness = bench.describe(&trace)?;
            let again = format!("again: proclab replay {}\n", witness.token);
            return Ok((
                format!("\n{}{again}", witness.text(width())),
                Finding::of(witness.verdict == Verdict::Ok),
            ));
        }
        if let Some(signal) = bench.interrupt.received() {
            return Err(Fault::interrupted(signal));
        }
        if !person.undoes() {
            return Ok(("stopped: the processes were reset\n".to_owned(), Finding::Right));
        }
    }
}

/// A strategy that asks the user at every point.
struct Person {
    /// The schedule that Enter follows.
    choices: Vec<Choice>,
    /// The choices so far, in order.
    done: Vec<Choice>,
    /// The choices to repeat without asking after an undo.
    again: Vec<Choice>,
    /// Which process holds which resource.
    holds: Vec<(usize, Label)>,
    wants_to_undo: bool,
    keys: Keys,
    state: State,
}

impl Strategy for Person {
    fn begin(&mut self) -> bool {
        true
    }

    fn decide(&mut self, point: &Point<'_>) -> Result<Decision, Divergence> {
        if point.depth == 0 {
            self.done.clear();
            self.holds.clear();
        }
        if let Some(choice) = self.again.get(self.done.len()) {
            return Ok(Decision::Take(*choice));
        }
        self.again.clear();
        let on_schedule = self.choices.starts_with(&self.done);
        let scheduled = self.choices.get(self.done.len()).copied();
        let scheduled = scheduled.filter(|choice| on_schedule && point.choices.contains(choice));
        let previous = self.done.last().map(|choice| Choice::step(choice.index()));
        let go_on = previous.filter(|choice| point.choices.contains(choice));
        let first = point.choices.iter().copied().find(|choice| !choice.kill);
        let Some(default) = scheduled.or(go_on).or(first) else { return Ok(Decision::GiveUp) };
        loop {
            self.ask(point, default, scheduled.is_some());
            match self.keys.next() {
                Some(Key::Enter) => return Ok(Decision::Take(default)),
                Some(Key::Char('q')) | None => return Ok(Decision::GiveUp),
                Some(Key::Back | Key::Char('-')) if self.done.is_empty() => self.say("nothing to undo\n"),
                Some(Key::Back | Key::Char('-')) => {
                    self.wants_to_undo = true;
                    return Ok(Decision::GiveUp);
                }
                Some(Key::Char(key)) if key.is_ascii_alphabetic() => {
                    let process = (key.to_ascii_lowercase() as u8 - b'a').into();
                    let choice =
                        if key.is_ascii_uppercase() { Choice::kill(process) } else { Choice::step(process) };
                    if point.choices.contains(&choice) {
                        return Ok(Decision::Take(choice));
                    }
                    self.say(&format!("{} cannot continue now\n", letter(process)));
                }
                Some(Key::Char(_)) => {}
            }
        }
    }

    fn refused(&mut self, point: &Point<'_>, process: usize) -> Result<(), Divergence> {
        if self.again.is_empty() {
            let step = point.step(Choice::step(process)).map_or(String::new(), |step| step.to_string());
            self.say(&format!("      {} does not get {step}, and waits\n", letter(process)));
        }
        Ok(())
    }

    fn done(&mut self, event: &Event) -> Result<(), Divergence> {
        self.done.push(event.choice);
        let process = event.choice.index();
        match event.step.access {
            _ if event.ended => self.holds.retain(|(holder, _)| *holder != process),
            Access::Acquire => self.holds.push((process, event.step.resource)),
            Access::Release => {
                let one = self.holds.iter().rposition(|held| *held == (process, event.step.resource));
                one.map(|at| self.holds.remove(at));
            }
            Access::Read | Access::Write | Access::Add | Access::Await => {}
        }
        if self.again.len() < self.done.len() {
            self.say(&format!("{:>4}  {event}\n", self.done.len()));
        }
        Ok(())
    }
}

impl Person {
    fn new(choices: Vec<Choice>, keys: Keys, state: State) -> Person {
        let (done, again, holds) = (Vec::new(), Vec::new(), Vec::new());
        Person { choices, done, again, holds, wants_to_undo: false, keys, state }
    }

    /// Whether the user asked for an undo. If so, all choices but the last are repeated from the beginning.
    fn undoes(&mut self) -> bool {
        let undoes = std::mem::take(&mut self.wants_to_undo);
        if undoes {
            self.again = std::mem::take(&mut self.done);
            self.again.pop();
            self.say(&format!("      undone: step {}\n", self.again.len() + 1));
        }
        undoes
    }

    fn ask(&mut self, point: &Point<'_>, default: Choice, scheduled: bool) {
        let mut shared: Vec<String> =
            (self.state)().into_iter().map(|(name, value)| format!("{name}: {value}")).collect();
        shared.extend(self.holds.iter().map(|(process, what)| format!("{} holds {what}", letter(*process))));
        let next = point.pending.iter().enumerate().map(|(process, step)| {
            let enabled = point.choices.contains(&Choice::step(process));
            match step {
                Some(step) if enabled => format!("{} at {step}", letter(process)),
                Some(step) => format!("{} waits at {step}", letter(process)),
                None => format!("{} has ended", letter(process)),
            }
        });
        let next: Vec<_> = next.collect();
        let why = if scheduled { ", as scheduled" } else { "" };
        let verb = if default.kill { "kill " } else { "" };
        self.say(&format!(
            "      [{}]  next: {}\n      [Enter: {verb}{}{why}; a letter: run that process; a capital: kill it; \
             Backspace or -: undo; q: stop] ",
            shared.join("; "),
            next.join(", "),
            letter(default.index())
        ));
    }

    /// Prompts go to standard error, because standard output may be redirected.
    fn say(&self, text: &str) {
        let mut out = std::io::stderr();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
}
