//! What is to be run, and the bounds that no program under the explorer can pass.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::noise::NoiseRules;
use super::scratch;

/// A command, and the folder in a copy of which every execution of it runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Command {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// The folder that is copied; `None` begins with an empty one.
    pub directory: Option<PathBuf>,
    /// The bounds.
    pub limits: Limits,
    /// Whether a call with a timeout may also time out where something else could go on.
    pub timeouts: bool,
    /// Whether writes outside of the folder are refused (`EROFS`) instead of named.
    pub strict: bool,
    /// What makes no difference between outcomes.
    pub noise: NoiseRules,
    /// What a search learned, on which the steps of its schedules depend; empty for a new search.
    #[serde(default)]
    pub facts: BTreeSet<String>,
}

impl Command {
    /// A program and its arguments, in copies of an empty folder, with the default bounds.
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

    /// In copies of this folder, which itself is only read.
    pub fn directory(mut self, folder: impl Into<PathBuf>) -> Self {
        self.directory = Some(folder.into());
        self
    }
}

/// Bounds on one execution.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Limits {
    /// Processes and threads alive at once: beyond, `fork` fails with `EAGAIN`.
    pub tasks: usize,
    /// Steps: an execution with more is *endless*.
    pub steps: usize,
    /// Processor time between two stops, in seconds: beyond, the process *spins*.
    pub spin_seconds: u64,
    /// Calls between two steps that no other process sees: beyond, the process *spins*, too.
    pub calls: u64,
    /// Bytes of memory that a process may have for its data: beyond, it gets none (`ENOMEM`).
    pub memory: u64,
    /// Bytes that a process may write to standard output and error.
    pub output: usize,
    /// Bytes of the largest file.
    pub file: u64,
    /// The folder, before and after.
    pub folder: scratch::Limits,
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
            folder: scratch::Limits { entries: 10_000, bytes: 64 << 20 },
        }
    }
}
