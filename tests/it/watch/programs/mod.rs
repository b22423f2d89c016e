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
    /// By its own CPU clock, without and with what the main thread did before it came to `main`.
    pub(super) running_ns: (u64, u64),
    /// The same by the kernel's sums.
    pub(super) ready_ns: (u64, u64),
    /// Each phase by its letter, and how long it took.
    pub(super) phases: Vec<(char, u64)>,
}

/// The accounts that `phases` has printed.
pub(super) fn accounts(text: &str) -> Result<Vec<Account>, Failed> {
    let account = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |at: usize| words.get(at)?.parse::<u64>().ok();
        let phase = |pair: &[&str]| Some((pair.first()?.chars().next()?, pair.get(1)?.parse().ok()?));
        Some(Account {
            tid: number(0)?,
            running_ns: (number(1)?, number(2)?),
            ready_ns: (number(3)?, number(4)?),
            phases: words.get(5..)?.chunks(2).map(phase).collect::<Option<_>>()?,
        })
    };
    let all: Option<Vec<Account>> = text.lines().map(account).collect();
    all.filter(|all| !all.is_empty()).ok_or_else(|| format!("no account in {text:?}").into())
}
