//! An assertion for Rust tests about every interleaving of a command's processes.

use super::engine::{Answer, EngineError, Task, carry_out};
use super::findings::{Findings, Search, WitnessStep};
use super::limits::Command;
use super::outcome::Outcome;
use super::token;
use super::verdict::{Criteria, Verdict};

/// The number of random executions before the search.
const RANDOM: u64 = 20;

/// Explores every interleaving of the processes of `command`, and calls `check` with each outcome. Returns the findings, so
/// that a test can also require `findings.complete`.
///
/// The engine is a fresh copy of this program: its `main` must begin with [`child_entry`](crate::child_entry), so
/// a test has `harness = false`.
///
/// ```no_run
/// use proclab::explore::traced::{Command, assert_every_interleaving};
///
/// proclab::child_entry();
/// let command = Command::new(["sh", "-c", "mkdir lock && echo a > won & mkdir lock && echo b > won & wait"]);
/// let findings = assert_every_interleaving(&command, |outcome| {
///     if outcome.files.contains_key(std::path::Path::new("won")) { Ok(()) } else { Err("no process won".to_owned()) }
/// })?;
/// assert!(findings.ended);
/// # Ok::<(), proclab::explore::traced::EngineError>(())
/// ```
///
/// # Errors
/// [`EngineError`] when the command could not be explored.
///
/// # Panics
/// When an outcome is a deadlock, was cut short by a limit, or fails the check. The message contains its witness and the
/// token for `proclab replay`.
pub fn assert_every_interleaving(
    command: &Command,
    check: impl Fn(&Outcome) -> Result<(), String>,
) -> Result<Findings, EngineError> {
    let search = Search { random: RANDOM, seed: 1, exhaustive: true, ..Search::default() };
    let criteria = Criteria { no_deadlock: true, ..Criteria::default() };
    let task = Task::Search(search, criteria.clone());
    let answer = carry_out(|process| process.launch(None), command.clone(), task, None, None, &mut |_| {})?;
    let Answer::Findings(findings) = answer else { unreachable!("a search is answered by findings") };
    for found in &findings.outcomes {
        let (verdict, why) = criteria.judge(&found.outcome, None);
        let wrong = match verdict {
            Verdict::Ok => check(&found.outcome).err(),
            _ => Some(why.map_or_else(|| verdict.to_string(), |why| why.text)),
        };
        if let Some(wrong) = wrong {
            let token = {
                let steps = found.witness.iter().map(WitnessStep::choice);
                token::encode(command, steps, &found.facts)
            };
            let steps: Vec<String> =
                found.witness.iter().map(|step| format!("  {}: {}", step.task, step.words)).collect();
            panic!(
                "{wrong}\n{}\nagain: proclab replay '{token}' -- {}",
                steps.join("\n"),
                command.argv.join(" ")
            );
        }
    }
    Ok(findings)
}
