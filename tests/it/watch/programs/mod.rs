//! Programs with a known truth, compiled when a test wants them.

use std::path::PathBuf;
use std::process::Command;

use libtest_mimic::Failed;

use super::Scratch;

/// The program of this name, in `scratch`; `None` where there is no compiler.
pub(super) fn program(scratch: &Scratch, name: &str) -> Result<Option<String>, Failed> {
    let from = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/it/watch/programs/{name}.c"));
    let to = scratch.file(name);
    match Command::new("cc").args(["-O1", "-w", "-pthread", "-o", &to]).arg(&from).status() {
        Ok(status) if status.success() => Ok(Some(to)),
        Ok(status) => Err(format!("cc {}: {status}", from.display()).into()),
        Err(_) => {
            println!("left out: there is no cc");
            Ok(None)
        }
    }
}

/// What a thread of `phases` says that it did.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) tid: u64,
    /// From where to where the following was measured, `CLOCK_MONOTONIC`.
    pub(super) begun_ns: u64,
    pub(super) looked_ns: u64,
    /// By its own CPU clock.
    pub(super) running_ns: u64,
    /// By the kernel's sums.
    pub(super) ready_ns: u64,
    pub(super) phases: Vec<Phase>,
}

/// A phase of a script.
#[derive(Debug, Clone, Copy)]
pub(super) struct Phase {
    pub(super) letter: char,
    pub(super) ns: u64,
}

impl Account {
    /// How long the phases with these letters took.
    pub(super) fn ns_of(&self, letters: &str) -> u64 {
        self.phases.iter().filter(|phase| letters.contains(phase.letter)).map(|phase| phase.ns).sum()
    }
}

/// The accounts that `phases` has printed.
pub(super) fn accounts(text: &str) -> Result<Vec<Account>, Failed> {
    let account = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |at: usize| words.get(at)?.parse::<u64>().ok();
        let phase = |pair: &[&str]| {
            Some(Phase { letter: pair.first()?.chars().next()?, ns: pair.get(1)?.parse().ok()? })
        };
        Some(Account {
            tid: number(0)?,
            begun_ns: number(1)?,
            looked_ns: number(2)?,
            running_ns: number(3)?,
            ready_ns: number(4)?,
            phases: words.get(5..)?.chunks(2).map(phase).collect::<Option<_>>()?,
        })
    };
    let all: Option<Vec<Account>> = text.lines().map(account).collect();
    all.filter(|all| !all.is_empty()).ok_or_else(|| format!("no account in {text:?}").into())
}
