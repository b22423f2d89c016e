//! The outcome of an execution, as a value that can be compared.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::noise::{Noise, NoiseRules};
use super::scratch::{Kind, Limits, Tree, read_tree};
use super::world::{State, World};
use crate::said::Said;
use crate::sys::signal::signal_name;
use crate::sys::wait::How;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// With this exit status.
    Exited(i32),
    /// By this signal.
    Signal(i32),
    /// It had not ended.
    Left,
}

impl End {
    /// As Python's `returncode`: the exit status, or the negative number of a signal; `None` for a process that had not
    /// ended.
    pub fn code(self) -> Option<i32> {
        match self {
            Self::Exited(code) => Some(code),
            Self::Signal(signal) => Some(-signal),
            Self::Left => None,
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exit {code}"),
            Self::Signal(signal) => f.write_str(&signal_name(*signal)),
            Self::Left => f.write_str("not ended"),
        }
    }
}

/// What a task waits for at the end of a deadlocked execution, and which processes hold it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Waiting {
    /// The process or thread.
    pub task: String,
    /// The call, without its result.
    pub call: String,
    /// The object.
    pub object: String,
    /// The processes that hold it, if it is a lock.
    pub holders: Vec<String>,
}

/// What a process wrote to standard output and to standard error.
pub type Output = [Vec<u8>; 2];

/// The outcome of an execution.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Outcome {
    /// The limit that cut the execution short, if one did.
    pub cut: Option<String>,
    /// The tasks that wait forever.
    pub deadlock: Vec<Waiting>,
    /// How each process ended, by its place in the tree.
    pub ends: BTreeMap<String, End>,
    /// Processes that were not waited for, so that the command may end before them.
    pub outlived: BTreeSet<String>,
    /// Processes that the schedule killed.
    #[serde(default)]
    pub killed: BTreeSet<String>,
    /// What each process wrote to standard output, if anything.
    pub stdout: BTreeMap<String, Vec<u8>>,
    /// What each process wrote to standard error, if anything.
    pub stderr: BTreeMap<String, Vec<u8>>,
    /// The tree of files.
    pub files: Tree,
    /// What does not distinguish outcomes.
    pub noise: Noise,
}

sentences! {
    /// An outcome in a few words.
    enum Headline {
        Cut { cut: String } => "{cut}", "被截断（原文：“{cut}”）";
        Deadlock => "deadlock", "死锁";
        AllEnded => "all processes ended with 0", "所有进程都以 0 结束";
        Left { parts: String } => "{parts}", "{parts}";
    }
}

/// The output and the folder of an execution, noise included.
pub(super) struct Left<'a> {
    /// What each process wrote.
    pub(super) output: BTreeMap<String, Output>,
    /// The folder.
    pub(super) root: &'a Path,
}

impl Outcome {
    /// How the command itself ended.
    pub fn root(&self) -> End {
        self.ends.get("root").copied().unwrap_or(End::Left)
    }

    /// What each process wrote to a stream (0 is standard output, 1 standard error), noise included.
    pub fn written(&self, stream: usize) -> BTreeMap<String, Vec<u8>> {
        let (kept, noise) =
            if stream == 0 { (&self.stdout, &self.noise.stdout) } else { (&self.stderr, &self.noise.stderr) };
        kept.iter().chain(noise).map(|(task, bytes)| (task.clone(), bytes.clone())).collect()
    }

    /// Whether it is wrong without any criteria: a deadlock, a crash, a limit, or a process that outlived the command.
    pub fn is_suspicious(&self) -> bool {
        super::verdict::Criteria::default().judge(self, None).0 != super::verdict::Verdict::Ok
    }

    /// In a few words, how it differs from another outcome.
    pub fn headline(&self, first: &Self) -> Said {
        if let Some(cut) = &self.cut {
            return Headline::Cut { cut: cut.clone() }.into();
        }
        if !self.deadlock.is_empty() {
            return Headline::Deadlock.into();
        }
        let other = self.ends.iter().filter(|(_, end)| **end != End::Exited(0));
        let ends: Vec<_> = other.map(|(task, end)| format!("{task}: {end}")).take(3).collect();
        let files = self.files.iter().filter(|(path, entry)| first.files.get(*path) != Some(entry));
        let files = files.map(|(path, entry)| match &entry.kind {
            Kind::File(content) if content.len() <= 40 => {
                format!("{}: {:?}", path.display(), String::from_utf8_lossy(content).trim_end())
            }
            _ => path.display().to_string(),
        });
        let gone = first.files.keys().filter(|path| !self.files.contains_key(*path));
        let gone = gone.map(|path| format!("no {}", path.display()));
        let parts: Vec<_> = ends.into_iter().chain(files).chain(gone).take(4).collect();
        let parts = parts.join(", ");
        if parts.is_empty() { Headline::AllEnded.into() } else { Headline::Left { parts }.into() }
    }

    /// Records the folder and the output.
    pub(super) fn leave(&mut self, left: Left<'_>, limits: Limits, rules: &NoiseRules) {
        for (name, [out, err]) in left.output {
            for (streams, bytes) in [(&mut self.stdout, out), (&mut self.stderr, err)] {
                if !bytes.is_empty() {
                    streams.insert(name.clone(), without(&bytes, left.root));
                }
            }
        }
        match read_tree(left.root, limits) {
            Ok(mut files) => {
                for entry in files.values_mut() {
                    match &mut entry.kind {
                        Kind::File(content) => *content = without(content, left.root),
                        Kind::Link(to) => {
                            *to = String::from_utf8_lossy(&without(to.as_bytes(), left.root)).into_owned();
                        }
                        _ => {}
                    }
                }
                self.files = files;
            }
            Err(error) => {
                let text = without(error.to_string().as_bytes(), left.root);
                self.cut = Some(String::from_utf8_lossy(&text).into_owned());
            }
        }
        rules.set_aside(self);
    }
}

/// Records the outcome, when no task can continue.
pub(super) fn observe(world: &mut World, limits: Limits) -> Outcome {
    let (cut, killed) = (world.cut.clone(), world.killed.clone());
    let mut outcome = Outcome { cut, killed, ..Outcome::default() };
    for index in 0..world.tasks.len() {
        let task = &world.tasks[index];
        if task.process == index {
            let end = match task.status.filter(|_| !task.is_alive()) {
                None => End::Left,
                Some(status) => match How::from_status(status) {
                    How::Exited(code) => End::Exited(code),
                    How::Killed { signal, .. } => End::Signal(signal),
                },
            };
            outcome.ends.insert(task.name.clone(), end);
            if index > 0 && matches!(end, End::Exited(_)) && !task.reaped {
                outcome.outlived.insert(task.name.clone());
            }
        }
        if task.is_alive() && world.cut.is_none() && !matches!(task.state, State::Frozen) {
            let waiting = waiting(world, index);
            outcome.deadlock.push(waiting);
        }
    }
    let root = world.root.clone();
    let rules = world.noise.clone();
    outcome.leave(Left { output: world.output.clone(), root: &root }, limits, &rules);
    outcome
}

fn waiting(world: &mut World, index: usize) -> Waiting {
    let call = super::words::before(world, index);
    let touch = world.tasks[index].plan.as_ref().and_then(|plan| plan.touches.first().copied());
    let object = touch.map_or_else(String::new, |touch| touch.object.to_string());
    let holders = world.tasks.iter().filter(|task| task.holds(&object));
    let holders = holders.map(|task| task.name.clone()).collect();
    Waiting { task: world.tasks[index].name.clone(), call, object, holders }
}

/// Replaces the path of the folder, which differs between runs, by `.`.
fn without(bytes: &[u8], root: &Path) -> Vec<u8> {
    let root = root.as_os_str().as_encoded_bytes();
    let mut rest = bytes;
    let mut clean = Vec::with_capacity(bytes.len());
    while let Some(at) = rest.windows(root.len()).position(|window| window == root) {
        clean.extend(&rest[..at]);
        clean.push(b'.');
        rest = &rest[at + root.len()..];
    }
    clean.extend(rest);
    clean
}
