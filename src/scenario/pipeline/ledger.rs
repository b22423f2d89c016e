//! Which items have been put, taken and eaten, from the facts that the processes report.

use crate::sys::pid::Pid;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::item::producer;
use crate::observe::notes::{Fact, Message};
use crate::scenario::world::told::Report;

/// A message that a killed process had taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LossRecord {
    /// Its PID.
    pub pid: Pid,
    /// The number of the message in the order of sending, from 0.
    pub message: u64,
}

/// The number of queued items at one time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Depth {
    /// The time, on the clock of the events.
    pub at_ns: u64,
    /// The number of items.
    pub queued: usize,
}

/// The producer of an item, and the item's number.
type ItemId = (usize, u64);

/// The parent's records while a pipeline runs.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// The index of each producer, by name.
    producers: HashMap<String, usize>,
    put: BTreeSet<ItemId>,
    ate: BTreeSet<ItemId>,
    /// Items that were eaten more than once.
    pub(super) twice: Vec<ItemId>,
    /// How many items each consumer ate.
    pub(super) eaten: BTreeMap<String, u64>,
    /// How long each process was blocked, in nanoseconds.
    pub(super) blocked_ns: BTreeMap<String, u64>,
    /// The number of queued items at each report.
    pub(super) depth: Vec<Depth>,
    /// How many items each process has taken.
    taken: BTreeMap<String, u64>,
    /// How many sentinels were taken.
    sentinels: u64,
    /// Whether the last report of each process says that it waits.
    waits: BTreeMap<String, bool>,
}

impl Ledger {
    pub(super) fn new(producers: usize) -> Self {
        let producers = (0..producers).map(|index| (producer(index), index)).collect();
        Ledger { producers, ..Ledger::default() }
    }

    fn place(&self, message: &Message) -> Option<ItemId> {
        Some((*self.producers.get(&message.sender)?, message.number))
    }

    /// Records a report that arrived while `queued` items were in the queue.
    pub(super) fn record(&mut self, report: &Report, queued: usize) {
        let event = &report.event;
        let name = || event.process.clone();
        match &event.fact {
            Some(Fact::Put(message)) => self.put.extend(self.place(message)),
            Some(Fact::Taken(message)) => match self.place(message) {
                Some(_) => *self.taken.entry(name()).or_default() += 1,
                None => self.sentinels += 1,
            },
            Some(Fact::Finished(message)) => {
                *self.eaten.entry(name()).or_default() += 1;
                if let Some(place) = self.place(message)
                    && !self.ate.insert(place)
                {
                    self.twice.push(place);
                }
            }
            _ => {}
        }
        let waits = matches!(event.fact, Some(Fact::MessageAwaited(_) | Fact::RoomAwaited(_)));
        self.waits.insert(name(), waits);
        *self.blocked_ns.entry(name()).or_default() += report.waited_ns;
        self.depth.push(Depth { at_ns: event.at_ns, queued });
    }

    /// Whether the last report of this process says that it waits.
    pub(super) fn waits(&self, name: &str) -> bool {
        self.waits.get(name) == Some(&true)
    }

    /// How many items this process has taken.
    pub(super) fn taken_by(&self, name: &str) -> u64 {
        self.taken.get(name).copied().unwrap_or(0)
    }

    /// How many sentinels were taken.
    pub(super) fn sentinels(&self) -> u64 {
        self.sentinels
    }

    /// Whether every item that was put was eaten, except for `lost` items.
    pub(super) fn is_accounted(&self, lost: usize) -> bool {
        self.ate.len() + lost >= self.put.len()
    }

    /// How many items were put.
    pub(super) fn produced(&self) -> u64 {
        self.put.len() as u64
    }

    /// Items that were put and never eaten.
    pub(super) fn missing(&self) -> Vec<ItemId> {
        self.put.difference(&self.ate).copied().collect()
    }
}
