//! A complete execution as a value, with the wait-for graph at its end.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::holders::Holders;
use super::step::{Choice, Event, Step};

/// A complete execution, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// What happened.
    pub events: Vec<Event>,
    /// For each task the step at which it waits forever; `None` if it ended.
    pub stuck: Vec<Option<Step>>,
    /// For each waiting task, if the system knows them, the tasks of which one must act.
    #[serde(default)]
    pub blockers: BTreeMap<usize, Vec<usize>>,
}

impl Trace {
    /// The decisions alone.
    pub fn choices(&self) -> Vec<Choice> {
        self.events.iter().map(|event| event.choice).collect()
    }

    /// Whether a task waits forever.
    pub fn deadlocked(&self) -> bool {
        self.stuck.iter().any(Option::is_some)
    }

    /// The wait-for graph at the end: for each waiting task, its step and the tasks for which it waits.
    pub fn waits(&self) -> Vec<Wait> {
        let held = Holders::after(&self.events);
        let killed = |task: usize| self.events.iter().any(|e| e.choice.kill && e.choice.index() == task);
        self.stuck
            .iter()
            .enumerate()
            .filter_map(|(process, step)| {
                let step = step.clone()?;
                let holders = match self.blockers.get(&process) {
                    Some(known) => known.iter().map(|task| (*task, killed(*task))).collect(),
                    None => {
                        let mut holders: Vec<_> =
                            step.touches().flat_map(|touch| held.holders(touch.object)).collect();
                        holders.sort_unstable();
                        holders.dedup();
                        holders
                    }
                };
                Some(Wait { process, step, holders })
            })
            .collect()
    }
}

/// One node of the wait-for graph at the end of a deadlocked execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// The task that waits.
    pub process: usize,
    /// Its step, which names the object.
    pub step: Step,
    /// The tasks that hold the object, and whether each was killed.
    pub holders: Vec<(usize, bool)>,
}
