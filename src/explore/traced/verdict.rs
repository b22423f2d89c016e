//! The criteria for outcomes, and their verdicts.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::free::{FreeError, Run, folders};
use super::outcome::{End, Outcome};
use super::scratch;
use crate::said::Said;

/// How long a check may take unless the criteria say otherwise.
const PATIENCE: Duration = Duration::from_secs(30);
/// How much of its output is kept, in bytes.
const KEPT: usize = 64 << 10;
/// The longest value of an environment variable (`MAX_ARG_STRLEN`, minus room for the name).
const LONGEST: usize = 100_000;

/// The signal that ends a check which takes too long.
const SIGKILL: i32 = 9;
/// Signals by which programs end their helpers, which is not a crash: SIGHUP, SIGINT, SIGKILL, SIGPIPE, SIGTERM.
const ORDERLY: [i32; 5] = [1, 2, 9, 13, 15];

/// The criteria for an outcome. A deadlock, and an execution that a limit cut short, are always wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Criteria {
    /// A shell command that exits with 0 in a correct folder.
    pub check: Option<String>,
    /// How long the check may take; half a minute if it is not said.
    pub check_patience: Option<Duration>,
    /// The expected exit status of the command.
    pub expect_exit: Option<i32>,
    /// Whether all outcomes must be equal.
    pub expect_same: bool,
    /// Whether only a deadlock is wrong.
    pub no_deadlock: bool,
}

impl Criteria {
    /// Whether there are no criteria. Then a crash, and a process that outlives the command, are also wrong.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The verdict on `outcome`, and the reason; `checked` is the result of the check, if one was run.
    pub fn judge(&self, outcome: &Outcome, checked: Option<&Checked>) -> (Verdict, Option<Said>) {
        if let Some(cut) = &outcome.cut {
            return (Verdict::CutShort, Some(Why::Cut { cut: cut.clone() }.into()));
        }
        if !outcome.deadlock.is_empty() {
            return (Verdict::Deadlock, None);
        }
        if let Some(checked) = checked.filter(|checked| checked.end != End::Exited(0)) {
            return (Verdict::CheckFailed, Some(Why::Check { end: checked.end }.into()));
        }
        if let Some(expected) = self.expect_exit.filter(|expected| outcome.root() != End::Exited(*expected)) {
            let why = Why::OtherExit { end: outcome.root(), expected };
            return (Verdict::CheckFailed, Some(why.into()));
        }
        if !self.is_default() {
            return (Verdict::Ok, None);
        }
        let crashed = outcome.ends.iter().find(|(task, end)| match end {
            End::Signal(_) if outcome.killed.contains(*task) => false,
            End::Signal(signal) => *task == "root" || !ORDERLY.contains(signal),
            _ => false,
        });
        if let Some((task, end)) = crashed {
            return (Verdict::Crashed, Some(Why::Died { task: task.clone(), end: *end }.into()));
        }
        let mut left: Vec<&str> = outcome.outlived.iter().map(String::as_str).collect();
        left.extend(outcome.ends.iter().filter(|(_, end)| **end == End::Left).map(|(task, _)| task.as_str()));
        match left.is_empty() || !outcome.killed.is_empty() {
            true => (Verdict::Ok, None),
            false => (Verdict::Outlived, Some(Why::Outlived { tasks: left.join(", ") }.into())),
        }
    }

    /// Runs the check, if there is one, on the files of `outcome`, restored in `root`. `$STATUS` is the exit status (128 plus
    /// the signal's number for a death by signal); `$STDOUT` and `$STDERR` are the output, without trailing newlines.
    ///
    /// # Errors
    /// When the folder cannot be restored or the shell cannot be started.
    pub(super) fn check(&self, outcome: &Outcome, root: &Path) -> Result<Option<Checked>, FreeError> {
        let is_over = outcome.cut.is_none() && outcome.deadlock.is_empty();
        let Some(check) = self.check.as_ref().filter(|_| is_over) else { return Ok(None) };
        let mut tree = outcome.files.clone();
        tree.extend(outcome.noise.files.clone());
        scratch::write_tree(root, &tree, None)?;
        let status = match outcome.root() {
            End::Exited(code) => code,
            End::Signal(signal) => 128 + signal,
            End::Left => return Ok(None),
        };
        let mut variables = folders(root);
        variables.push(("STATUS".into(), status.to_string().into()));
        variables.push(("STDOUT".into(), variable(outcome.written(0).into_values())));
        variables.push(("STDERR".into(), variable(outcome.written(1).into_values())));
        let argv: Vec<OsString> = vec!["/bin/sh".into(), "-c".into(), check.into()];
        let patience = self.check_patience.unwrap_or(PATIENCE);
        let ran = Run { argv: &argv, root, variables, patience, output: KEPT }.run()?;
        if let Some(cut) = ran.cut {
            // What the program left may be such that reading it has no end, as with a named pipe in place of a file.
            let output = format!("the check was ended: {cut}");
            return Ok(Some(Checked { end: End::Signal(SIGKILL), output }));
        }
        let output = ran.output.concat();
        Ok(Some(Checked { end: ran.end, output: String::from_utf8_lossy(&output).into_owned() }))
    }
}

sentences! {
    /// Why an outcome is wrong.
    pub enum Why {
        Cut { cut: String } => "{cut}", "执行被截断（原文：“{cut}”）";
        Check { end: End } => "the check ended with {end}", "检查以 {end} 结束";
        OtherExit { end: End, expected: i32 } =>
            "the command ended with {end}, not exit {expected}", "命令以 {end} 结束，而不是 exit {expected}";
        Died { task: String, end: End } => "{task} ended with {end}", "{task} 以 {end} 结束";
        Outlived { tasks: String } => "{tasks} outlived the command", "{tasks} 在命令结束后仍然活着";
        NotTheSame =>
            "all outcomes were to be the same, and it differs from the usual one",
            "所有结果本应相同，它却与通常的结果不同";
    }
}

/// Output as `$(…)` would return it.
fn variable(parts: impl Iterator<Item = Vec<u8>>) -> OsString {
    let mut bytes: Vec<u8> = parts.flatten().filter(|byte| *byte != 0).take(LONGEST).collect();
    while bytes.last() == Some(&b'\n') {
        bytes.pop();
    }
    OsString::from_vec(bytes)
}

/// The result of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// How it ended; exit status 0 means that the outcome is correct.
    pub end: End,
    /// Its output.
    pub output: String,
}

/// The meaning of an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Processes wait for each other, or for something that never happens.
    Deadlock,
    /// A process died by a signal.
    Crashed,
    /// It does not meet the criteria.
    CheckFailed,
    /// Processes outlived the command.
    Outlived,
    /// A limit ended the execution.
    CutShort,
    /// It is correct.
    Ok,
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Deadlock => "deadlock",
            Self::Crashed => "crashed",
            Self::CheckFailed => "check-failed",
            Self::Outlived => "outlived",
            Self::CutShort => "cut-short",
            Self::Ok => "ok",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(ends: &[(&str, End)]) -> Outcome {
        let ends = ends.iter().map(|(task, end)| ((*task).to_owned(), *end)).collect();
        Outcome { ends, ..Outcome::default() }
    }

    #[test]
    fn without_a_wish_a_crash_is_wrong_and_with_one_only_that_counts() {
        let crashed = outcome(&[("root", End::Exited(0)), ("root.1", End::Signal(11))]);
        let verdict = |criteria: &Criteria, outcome: &Outcome| criteria.judge(outcome, None).0;
        assert_eq!(verdict(&Criteria::default(), &crashed), Verdict::Crashed);
        let expecting = |code| Criteria { expect_exit: Some(code), ..Criteria::default() };
        assert_eq!(verdict(&expecting(0), &crashed), Verdict::Ok);
        assert_eq!(verdict(&expecting(1), &crashed), Verdict::CheckFailed);
        let lenient = Criteria { no_deadlock: true, ..Criteria::default() };
        assert_eq!(verdict(&lenient, &crashed), Verdict::Ok);
    }

    #[test]
    fn a_deadlock_is_wrong_whatever_was_asked_for() {
        let waits = super::super::outcome::Waiting {
            task: "root".into(),
            call: "wait(any child)".into(),
            object: "children of root".into(),
            holders: vec![],
        };
        let deadlock = Outcome { deadlock: vec![waits], ..outcome(&[("root", End::Left)]) };
        let checked = Checked { end: End::Exited(0), output: String::new() };
        for criteria in [Criteria::default(), Criteria { check: Some("true".into()), ..Criteria::default() }]
        {
            assert_eq!(criteria.judge(&deadlock, Some(&checked)).0, Verdict::Deadlock);
        }
    }

    #[test]
    fn output_is_passed_to_a_check_as_a_shell_would_capture_it() {
        let parts = vec![b"one\n".to_vec(), b"two\0\n\n".to_vec()];
        assert_eq!(variable(parts.into_iter()), "one\ntwo");
    }
}
