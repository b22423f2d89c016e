//! `proclab replay TOKEN --step -- COMMAND …`: the user is the scheduler of a program.
//!
//! Each key executes the program again up to the chosen step, so that steps can be undone.

use std::io::Write;

use super::departed::departed;
use super::options::Wishes;
use super::{engine, unexpected};
use crate::cli::fault::Fault;
use crate::cli::keys::{Key, Keys};
use crate::cli::output::{Finding, width};
use crate::explore::traced::{Answer, Command, Next, Peeked, Task, Verdict, token};
use crate::report::traced::TracedOutcome;
use crate::sys::signal::Interrupt;

/// Steps through the program; Enter follows `schedule`.
pub(super) fn run(
    command: &Command,
    schedule: &[String],
    wishes: &Wishes,
) -> Result<(String, Finding), Fault> {
    let interrupt = Interrupt::install().map_err(|error| Fault::could_not_run(&error))?;
    let mut keys = Keys::new(interrupt);
    let mut done: Vec<String> = Vec::new();
    let mut told = 0;
    loop {
        let peeked = match engine(command.clone(), Task::Peek(done.clone()), &mut |_| {})? {
            Answer::Peeked(peeked) => peeked,
            Answer::Departed(departure) => return Err(departed(&departure, &[])),
            _ => return Err(unexpected()),
        };
        for (position, step) in peeked.steps.iter().enumerate().skip(told) {
            say(&format!("{:>4}  {}: {}\n", position + 1, step.task, step.words));
        }
        told = peeked.steps.len();
        if let Some(found) = &peeked.over {
            let criteria = wishes.criteria();
            let token = token::encode(command, done.iter().map(String::as_str), &found.facts);
            let outcome = TracedOutcome::of(found, &criteria, token);
            let text = format!("\n{}\n{}", outcome.verdict, outcome.text(None, width(), ""));
            let text = format!("{text}token: {}\n", outcome.token);
            return Ok((text, Finding::of(outcome.verdict == Verdict::Ok)));
        }
        let enabled: Vec<&Next> = peeked.next.iter().filter(|next| next.enabled).collect();
        let scheduled = schedule.get(done.len()).filter(|_| schedule.starts_with(&done));
        let is_enabled = |task: &&String| enabled.iter().any(|next| next.task == **task);
        let usual = scheduled.filter(is_enabled).or_else(|| done.last().filter(is_enabled)).cloned();
        let usual = usual.or_else(|| enabled.first().map(|next| next.task.clone())).unwrap_or_default();
        loop {
            ask(&peeked, &enabled, &usual);
            match keys.next() {
                Some(Key::Enter) => done.push(usual),
                Some(Key::Char('q')) | None => {
                    return match interrupt.received() {
                        Some(signal) => Err(Fault::interrupted(signal)),
                        None => Ok(("stopped: the processes were ended\n".to_owned(), Finding::Right)),
                    };
                }
                Some(Key::Back | Key::Char('-')) if done.is_empty() => {
                    say("there is no step to undo\n");
                    continue;
                }
                Some(Key::Back | Key::Char('-')) => {
                    say(&format!("      undone: step {}\n", done.len()));
                    done.pop();
                    told = done.len();
                }
                Some(Key::Char(key)) => {
                    let place = enabled.iter().zip('a'..='p').find(|(_, letter)| *letter == key);
                    let Some((next, _)) = place else {
                        say("no process that can continue has this letter\n");
                        continue;
                    };
                    done.push(next.task.clone());
                }
            }
            break;
        }
    }
}

/// Shows the next call of each task, and what the keys do.
fn ask(peeked: &Peeked, enabled: &[&Next], usual: &str) {
    let mut letters = 'a'..='p';
    for next in &peeked.next {
        let call: String = next.call.chars().filter(|c| !c.is_control()).collect();
        if next.enabled {
            say(&format!("      {}  {} at {call}\n", letters.next().unwrap_or('?'), next.task));
        } else {
            say(&format!("         {} waits at {call}\n", next.task));
        }
    }
    let more = if enabled.len() > 1 { "; a letter: that one" } else { "" };
    say(&format!("      [Enter: {usual}{more}; Backspace or -: undo; q: stop] "));
}

/// Prompts go to standard error, because standard output may be redirected.
fn say(text: &str) {
    let mut out = std::io::stderr();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
