//! What is run, and how it ended.

use serde::{Deserialize, Serialize};

use crate::lab::card::Limits;
use crate::lab::files::Files;

/// Runs that start with the same files, each in a folder of its own.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Job {
    /// The initial contents of each folder.
    pub files: Files,
    /// The runs.
    pub steps: Vec<Step>,
    /// Whether to confine the programs to their folder. The lab's own programs are not confined: they may trace and observe.
    pub enclosed: bool,
}

/// One run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Step {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// Its standard input.
    pub stdin: String,
    /// Its limits.
    pub limits: Limits,
    /// The files to return afterwards.
    pub keep: Vec<String>,
    /// A shell command, run in the folder once the program and everything that it started have ended. `$STDOUT` is what
    /// the program wrote, `$STATUS` its exit status.
    pub check: Option<String>,
}

impl Step {
    /// A run with empty input.
    pub fn new(argv: Vec<String>, limits: Limits) -> Self {
        Self { argv, stdin: String::new(), limits, keep: Vec::new(), check: None }
    }
}

/// Why a run was ended.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Cut {
    /// It took longer than this many seconds.
    Time(f64),
    /// It wrote more than this many KiB.
    Output(u64),
    /// It had more than this many processes.
    Processes(usize),
    /// It used more than this many MiB of memory.
    Memory(u64),
    /// It wrote more than this many MiB of files.
    Disk(u64),
    /// It killed the process that ran it.
    Interfered,
}

/// How a run ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ran {
    /// The exit status; 128 plus the signal's number if a signal ended it.
    pub status: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<String>,
    /// What it wrote to standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error.
    pub stderr: Vec<u8>,
    /// Why it was ended.
    pub cut: Option<Cut>,
    /// How many processes it left behind; they were killed.
    pub left: usize,
    /// Those of the files in `keep` that exist.
    pub kept: Files,
    /// Whether the check passed and what it wrote, if one was run.
    pub checked: Option<(bool, String)>,
    /// How long it took, in seconds.
    pub seconds: f64,
}

impl Ran {
    /// Whether it exited with status 0 within its limits.
    pub fn is_success(&self) -> bool {
        self.cut.is_none() && self.status == Some(0)
    }

    /// Standard output as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
}
