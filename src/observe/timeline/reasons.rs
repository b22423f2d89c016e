//! The reasons for waits, by number. Of very many the oldest are forgotten, except for their kinds.

use std::collections::{BTreeMap, HashMap};

use crate::observe::waits::{Ends, Kind, Wait, words};
use crate::sys::pid::Pid;

/// The low bits of a number are the kind, and the others a place: 0 for all waits of that kind that are not listed.
const KIND_BITS: u32 = 4;

/// What stands for waits of a kind that are not listed, in the order of their numbers.
const KINDS: [(Kind, &str); 11] = [
    (Kind::FileLock, "a file lock"),
    (Kind::Lock, "a lock"),
    (Kind::Pipe, "a pipe"),
    (Kind::Socket, "a socket"),
    (Kind::Child, "a child"),
    (Kind::Timer, "a timer"),
    (Kind::Signal, "a signal"),
    (Kind::Terminal, "a terminal"),
    (Kind::Device, "a device"),
    (Kind::Several, "one of several descriptors"),
    (Kind::Other, "something else"),
];

/// The number of all waits of the same kind as `number` that are not listed one by one.
pub(super) fn unlisted(number: u32) -> u32 {
    number & ((1 << KIND_BITS) - 1)
}

fn unlisted_of(kind: Kind) -> u32 {
    (1..).zip(KINDS).find(|(_, (of, _))| *of == kind).map_or(0, |(number, _)| number)
}

/// The room that a reason takes: a wait for any of a thousand children names each of them.
fn room(wait: &Wait) -> usize {
    const AT_ONCE: usize = 16;
    match &wait.ends {
        Ends::Only(ids) | Ends::Threads(ids) => 1 + ids.len() / AT_ONCE,
        Ends::Outside => 1,
    }
}

/// A reason that is kept.
#[derive(Debug)]
struct Kept {
    wait: Wait,
    /// Its words as they are shown.
    shown: String,
    /// The processes in them, with their names.
    names: Vec<(Pid, String)>,
}

impl Kept {
    fn name(&mut self, pid: Pid, name: &str) {
        for (_, old) in self.names.iter_mut().filter(|(of, _)| *of == pid) {
            name.clone_into(old);
        }
        let name = |pid| self.names.iter().find(|(of, _)| *of == pid).map(|(_, name)| name.clone());
        self.shown = words::shown(&self.wait.on, name);
    }
}

/// The reasons that are kept.
#[derive(Debug, Default)]
pub(super) struct Reasons {
    kept: BTreeMap<u32, Kept>,
    numbers: HashMap<Wait, u32>,
    /// Those that name a process, which may yet change its name.
    naming: HashMap<Pid, Vec<u32>>,
    /// The room that all of them take.
    taken: usize,
    /// The places that were given.
    n_places: u32,
    n_forgotten: u64,
}

impl Reasons {
    /// The number of a reason that is kept.
    pub(super) fn known(&self, wait: &Wait) -> Option<u32> {
        self.numbers.get(wait).copied()
    }

    /// Keeps a new reason; returns its number, or that of its kind if there is no room. `name` has the names of processes.
    pub(super) fn keep(&mut self, wait: &Wait, most: usize, name: impl Fn(Pid) -> Option<String>) -> u32 {
        let kind = unlisted_of(wait.kind);
        if self.taken >= most || self.n_places >= u32::MAX >> KIND_BITS {
            self.n_forgotten += 1;
            return kind;
        }
        self.n_places += 1;
        let number = self.n_places << KIND_BITS | kind;
        self.taken += room(wait);
        let pids = words::processes(&wait.on);
        for pid in &pids {
            self.naming.entry(*pid).or_default().push(number);
        }
        let names = pids.into_iter().map(|pid| (pid, name(pid).unwrap_or_default())).collect();
        let shown = words::shown(&wait.on, name);
        self.kept.insert(number, Kept { wait: wait.clone(), shown, names });
        self.numbers.insert(wait.clone(), number);
        number
    }

    /// A process has this name from now on, and so it is called in reasons of before.
    pub(super) fn name_process(&mut self, pid: Pid, name: &str) {
        for number in self.naming.get(&pid).into_iter().flatten() {
            if let Some(kept) = self.kept.get_mut(number) {
                kept.name(pid, name);
            }
        }
    }

    /// A process has begun. Reasons that name another one with the same PID, which has ended, go on to do so.
    pub(super) fn begin_process(&mut self, pid: Pid, name: &str) {
        let Some(numbers) = self.naming.remove(&pid) else { return };
        for number in numbers {
            let Some(kept) = self.kept.get_mut(&number) else { continue };
            if kept.names.iter().any(|(of, name)| *of == pid && !name.is_empty()) {
                self.numbers.remove(&kept.wait);
            } else {
                // The wait was read before the record of the process.
                kept.name(pid, name);
                self.naming.entry(pid).or_default().push(number);
            }
        }
    }

    /// The room that the reasons take; most take 1.
    pub(super) fn taken(&self) -> usize {
        self.taken
    }

    /// How many reasons are no longer listed.
    pub(super) fn n_forgotten(&self) -> u64 {
        self.n_forgotten
    }

    /// Forgets the oldest reasons that may be forgotten until `wanted` is free; returns how much is.
    pub(super) fn forget(&mut self, wanted: usize, may: impl Fn(u32) -> bool) -> usize {
        let mut free = 0;
        let mut oldest = Vec::new();
        for (number, kept) in self.kept.iter().filter(|(number, _)| may(**number)) {
            if free >= wanted {
                break;
            }
            free += room(&kept.wait);
            oldest.push(*number);
        }
        for number in &oldest {
            self.kept.remove(number);
        }
        self.numbers.retain(|_, number| self.kept.contains_key(number));
        self.naming.retain(|_, numbers| {
            numbers.retain(|number| self.kept.contains_key(number));
            !numbers.is_empty()
        });
        self.n_forgotten += oldest.len() as u64;
        self.taken -= free;
        free
    }

    pub(super) fn get(&self, number: u32) -> Option<&Wait> {
        self.kept.get(&number).map(|kept| &kept.wait)
    }

    /// The description of a reason.
    pub(super) fn name(&self, number: u32) -> &str {
        let of_kind = || KINDS.get(usize::try_from(unlisted(number)).ok()?.checked_sub(1)?);
        match self.kept.get(&number) {
            Some(kept) => &kept.shown,
            None => of_kind().map_or("not seen", |(_, name)| name),
        }
    }
}
