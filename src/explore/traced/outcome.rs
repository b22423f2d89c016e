//! What an execution left behind, as a value: two executions with equal values ended alike.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::scratch::{Kind, Limits, Tree, read_tree};
use super::world::{State, World};
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

/// Who waits for what, and who has it, at the end of an execution in which no process can go on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Waiting {
    /// The process or thread.
    pub task: String,
    /// The call, without its result.
    pub call: String,
    /// The object.
    pub object: String,
    /// Who holds it, as far as it is a lock.
    pub holders: Vec<String>,
}

/// What an execution left behind.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Outcome {
    /// Why it was cut short by a limit, if it was.
    pub cut: Option<String>,
    /// Who is left waiting for ever.
    pub deadlock: Vec<Waiting>,
    /// How each process ended, by its place in the tree.
    pub ends: BTreeMap<String, End>,
    /// What each process wrote to standard output, if anything.
    pub stdout: BTreeMap<String, Vec<u8>>,
    /// What each process wrote to standard error, if anything.
    pub stderr: BTreeMap<String, Vec<u8>>,
    /// The tree of files.
    pub files: Tree,
}

impl Outcome {
    /// How the command itself ended.
    pub fn root(&self) -> End {
        self.ends.get("root").copied().unwrap_or(End::Left)
    }

    /// Whether it is a finding by itself: a deadlock, a death by signal, a limit, or a process that outlived
    /// the command.
    pub fn is_suspicious(&self) -> bool {
        self.cut.is_some()
            || !self.deadlock.is_empty()
            || self.ends.values().any(|end| matches!(end, End::Signal(_) | End::Left))
    }
}

/// Looks at what is there now that no task can go on.
pub(super) fn observe(world: &mut World, limits: Limits) -> Outcome {
    let mut outcome = Outcome { cut: world.cut.clone(), ..Outcome::default() };
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
        }
        if task.is_alive() && world.cut.is_none() && !matches!(task.state, State::Frozen) {
            let waiting = waiting(world, index);
            outcome.deadlock.push(waiting);
        }
    }
    let root = world.root.clone();
    for (name, [out, err]) in &world.output {
        for (streams, bytes) in [(&mut outcome.stdout, out), (&mut outcome.stderr, err)] {
            if !bytes.is_empty() {
                streams.insert(name.clone(), without(bytes, &root));
            }
        }
    }
    match read_tree(&root, limits) {
        Ok(mut files) => {
            for entry in files.values_mut() {
                if let Kind::File(content) = &mut entry.kind {
                    *content = without(content, &root);
                }
            }
            outcome.files = files;
        }
        Err(error) => outcome.cut = Some(error.to_string()),
    }
    outcome
}

fn waiting(world: &mut World, index: usize) -> Waiting {
    let call = super::words::before(world, index);
    let touch = world.tasks[index].plan.as_ref().and_then(|plan| plan.touches.first().copied());
    let object = touch.map_or_else(String::new, |touch| touch.object.to_string());
    let holders = world.tasks.iter().filter(|task| task.locks.contains(&object));
    let holders = holders.map(|task| task.name.clone()).collect();
    Waiting { task: world.tasks[index].name.clone(), call, object, holders }
}

/// With the folder's own path, which another run may have elsewhere, as `.`.
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
