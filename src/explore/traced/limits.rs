//! The command to run, and the bounds on its executions.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::noise::NoiseRules;
use super::scratch;

/// A command, and the folder whose copy each execution runs in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Command {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// The folder that is copied; `None` for an empty one.
    pub directory: Option<PathBuf>,
    /// The bounds.
    pub limits: Limits,
    /// Whether a call with a timeout may time out although another task could continue.
    pub timeouts: bool,
    /// Whether writes outside the folder are refused (`EROFS`) instead of reported.
    pub strict: bool,
    /// What does not distinguish outcomes.
    pub noise: NoiseRules,
    /// The facts of an earlier search, on which the steps of its schedules depend; empty for a new search.
    #[serde(default)]
    pub facts: BTreeSet<String>,
}

impl Command {
    /// Creates a command that runs in an empty folder, with the default bounds.
    pub fn new<Word: Into<String>>(argv: impl IntoIterator<Item = Word>) -> Self {
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            directory: None,
            limits: Limits::default(),
            timeouts: false,
            strict: false,
            noise: NoiseRules::default(),
            facts: BTreeSet::new(),
        }
    }

    /// Runs it in copies of this folder, which itself is only read.
    pub fn directory(mut self, folder: impl Into<PathBuf>) -> Self {
        self.directory = Some(folder.into());
        self
    }
}

/// Bounds on one execution.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Limits {
    /// Processes and threads alive at once; beyond, `fork` fails with `EAGAIN`.
    pub tasks: usize,
    /// Steps of an execution.
    pub steps: usize,
    /// Processor time between two stops, in seconds; beyond, the process *spins*.
    pub spin_seconds: u64,
    /// Calls between two steps; beyond, the process *spins*.
    pub calls: u64,
    /// Bytes of data memory of a process; beyond, allocations fail with `ENOMEM`.
    pub memory: u64,
    /// Bytes that a process may write to standard output and error.
    pub output: usize,
    /// Bytes of the largest file.
    pub file: u64,
    /// Bytes that all processes together may write to files and pipes.
    pub written: u64,
    /// The folder, before and after an execution.
    pub folder: scratch::Limits,
}

impl Limits {
    /// The names of the bounds, as [`Limits::set`] takes them.
    pub const NAMES: [&str; 10] =
        ["processes", "steps", "cpu", "calls", "memory", "output", "file", "written", "entries", "folder"];

    /// Sets the bound with this name; returns whether there is one.
    pub fn set(&mut self, name: &str, value: u64) -> bool {
        let count = usize::try_from(value).unwrap_or(usize::MAX);
        match name {
            "processes" => self.tasks = count,
            "steps" => self.steps = count,
            "cpu" => self.spin_seconds = value,
            "calls" => self.calls = value,
            "memory" => self.memory = value,
            "output" => self.output = count,
            "file" => self.file = value,
            "written" => self.written = value,
            "entries" => self.folder.entries = count,
            "folder" => self.folder.bytes = value,
            _ => return false,
        }
        true
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            tasks: 200,
            steps: 5_000,
            spin_seconds: 2,
            calls: 50_000,
            memory: 2 << 30,
            output: 1 << 20,
            file: 64 << 20,
            written: 256 << 20,
            folder: scratch::Limits { entries: 10_000, bytes: 64 << 20 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bound_has_a_name() {
        for name in Limits::NAMES {
            let mut limits = Limits::default();
            assert!(limits.set(name, 7), "{name}");
            assert_ne!(format!("{limits:?}"), format!("{:?}", Limits::default()), "{name}");
        }
        assert!(!Limits::default().set("patience", 1));
    }
}
