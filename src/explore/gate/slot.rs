//! The memory that the scheduler and one worker share: the turn, a command, and a report.
//!
//! The turn alternates strictly. Only the side that has it writes to the slot, and it passes the turn with a `Release`
//! store that the other side's `Acquire` load reads, so everything else is plain bytes. A waiting side marks the turn
//! word before it sleeps; the other side makes the system call that wakes it only if the word is marked.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::explore::step::{Access, Label, Observation, Seen, Step};
use crate::shm::region::Region;
use crate::sys::futex;

/// The size of a slot in bytes. Slots do not share cache lines.
pub(super) const SIZE: usize = 512;
/// The longest name of a step or of its object, in bytes; longer names are truncated.
const MAX_NAME: usize = 30;
/// The longest text of an observation, in bytes; longer texts are truncated.
const MAX_SEEN: usize = SIZE - SEEN - 2;

const TURN: usize = 0;
const CODE: usize = 4;
const STEP: usize = 64;
const OBSERVATION: usize = 128;
const SEEN: usize = OBSERVATION + 2 + Observation::MAX;

/// A side of the hand-over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Scheduler,
    Worker,
}

impl Side {
    /// The turn word while this side has the turn; 1 is added while the other side sleeps.
    fn word(self) -> u32 {
        match self {
            Self::Scheduler => 0,
            Self::Worker => 2,
        }
    }

    fn other(self) -> Self {
        match self {
            Self::Scheduler => Self::Worker,
            Self::Worker => Self::Scheduler,
        }
    }
}

/// A command of the scheduler to a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// Run the body from its beginning.
    Begin,
    /// Execute the step at which it waits.
    Grant,
    /// Unwind: this execution is abandoned.
    Abandon,
    /// Unwind and exit: there will be no further execution.
    Leave,
}

/// A report of a worker to the scheduler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Report {
    /// No report yet: the worker has not started.
    Fresh,
    /// The previous step is done, and the worker waits at this one.
    Arrived(Step),
    /// The step is disabled; the worker still waits at it.
    Refused,
    /// The body has returned, or was abandoned.
    Ended,
    /// The body panicked; the text is the message.
    Panicked,
}

/// One worker's part of the region.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot<'a> {
    region: &'a Region,
    base: usize,
}

impl<'a> Slot<'a> {
    pub(super) fn new(region: &'a Region, index: usize) -> Self {
        Self { region, base: index * SIZE }
    }

    fn word(&self, offset: usize) -> &'a AtomicU32 {
        self.region.word32(self.base + offset)
    }

    /// Passes the turn to the other side.
    pub(super) fn pass(&self, from: Side) {
        let turn = self.word(TURN);
        // `AcqRel`: the side that gets the turn sees everything written before.
        if turn.swap(from.other().word(), Ordering::AcqRel) == from.word() + 1 {
            futex::wake_one(turn);
        }
    }

    /// Waits at most `timeout` for the turn, and returns whether this side has it.
    ///
    /// Never spins: only one side has work to do, so a spinning side would keep a processor from the process that it
    /// waits for (measured: a fifth of the speed on two processors).
    pub(super) fn wait(&self, side: Side, timeout: Duration) -> bool {
        let turn = self.word(TURN);
        let mine = |word: u32| word & !1 == side.word();
        let awake = side.other().word();
        match turn.compare_exchange(awake, awake + 1, Ordering::Acquire, Ordering::Acquire) {
            Err(word) if mine(word) => return true,
            _ => futex::wait(turn, awake + 1, timeout),
        }
        mine(turn.load(Ordering::Acquire))
    }

    /// Resets the slot for a worker that has not started.
    pub(super) fn clear(&self) {
        self.word(CODE).store(0, Ordering::Relaxed);
        self.word(TURN).store(Side::Scheduler.word(), Ordering::Release);
    }

    pub(super) fn command(&self, command: Command) {
        let code = match command {
            Command::Begin => 0,
            Command::Grant => 1,
            Command::Abandon => 2,
            Command::Leave => 3,
        };
        self.word(CODE).store(code, Ordering::Relaxed);
    }

    pub(super) fn read_command(&self) -> Command {
        match self.word(CODE).load(Ordering::Relaxed) {
            0 => Command::Begin,
            1 => Command::Grant,
            2 => Command::Abandon,
            _ => Command::Leave,
        }
    }

    /// Writes a report, and the observation of the previous step.
    pub(super) fn report(&self, report: &Report, seen: &Seen) {
        let code = match report {
            Report::Fresh => 0,
            Report::Arrived(step) => {
                let mut bytes = [0; 2 * (MAX_NAME + 1) + 1];
                let access = match step.access {
                    Access::Read => 0,
                    Access::Write => 1,
                    Access::Acquire => 2,
                    Access::Release => 3,
                    Access::Await => 4,
                    Access::Add => 5,
                };
                put_label(&mut bytes[1..], step.name);
                put_label(&mut bytes[1 + MAX_NAME + 1..], step.resource);
                bytes[0] = access;
                self.region.put(self.base + STEP, &bytes);
                1
            }
            Report::Refused => 2,
            Report::Ended => 3,
            Report::Panicked => 4,
        };
        let text = &seen.text;
        let mut len = text.len().min(MAX_SEEN);
        while !text.is_char_boundary(len) {
            len -= 1;
        }
        self.put_text(SEEN, &text[..len]);
        self.put_text(OBSERVATION, seen.observation.as_str());
        self.word(CODE).store(code, Ordering::Relaxed);
    }

    /// Reads the report, and the observation of the previous step. Nothing in them is trusted.
    pub(super) fn read_report(&self) -> (Report, Seen) {
        let mut bytes = Vec::new();
        let report = match self.word(CODE).load(Ordering::Relaxed) {
            0 => Report::Fresh,
            1 => {
                self.region.append_to(&mut bytes, self.base + STEP, 2 * (MAX_NAME + 1) + 1);
                let access = match bytes[0] {
                    0 => Access::Read,
                    1 => Access::Write,
                    2 => Access::Acquire,
                    3 => Access::Release,
                    4 => Access::Await,
                    _ => Access::Add,
                };
                let (name, resource) = bytes[1..].split_at(MAX_NAME + 1);
                Report::Arrived(Step {
                    name: label(name),
                    resource: label(resource),
                    access,
                    also: Vec::new(),
                    structural: false,
                })
            }
            2 => Report::Refused,
            3 => Report::Ended,
            _ => Report::Panicked,
        };
        let text = self.read_text(&mut bytes, SEEN, MAX_SEEN);
        let mut observation = self.read_text(&mut bytes, OBSERVATION, Observation::MAX);
        // Replacing bytes that are not UTF-8 can make the text longer.
        observation.truncate(observation.floor_char_boundary(Observation::MAX));
        (report, Seen { text, observation: Observation::new(observation) })
    }

    fn put_text(&self, offset: usize, text: &str) {
        self.region.put(self.base + offset, &(text.len() as u16).to_le_bytes());
        self.region.put(self.base + offset + 2, text.as_bytes());
    }

    fn read_text(&self, bytes: &mut Vec<u8>, offset: usize, most: usize) -> String {
        bytes.clear();
        self.region.append_to(bytes, self.base + offset, 2);
        let len = usize::from(u16::from_le_bytes([bytes[0], bytes[1]])).min(most);
        bytes.clear();
        self.region.append_to(bytes, self.base + offset + 2, len);
        String::from_utf8_lossy(bytes).into_owned()
    }
}

fn put_label(bytes: &mut [u8], label: Label) {
    let text = label.as_str();
    let text = &text.as_bytes()[..text.floor_char_boundary(MAX_NAME)];
    bytes[0] = text.len() as u8;
    bytes[1..=text.len()].copy_from_slice(text);
}

fn label(bytes: &[u8]) -> Label {
    let len = usize::from(bytes[0]).min(MAX_NAME);
    Label::new(std::str::from_utf8(&bytes[1..=len]).unwrap_or("?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_as_it_was_written() {
        let region = Region::create(2 * SIZE as u64, 2 * SIZE).unwrap();
        let slot = Slot::new(&region, 1);
        assert_eq!(slot.read_report(), (Report::Fresh, Seen::default()));
        let step = Step::new("read", "stock", Access::Read);
        let observation = Observation::new("x".repeat(Observation::MAX));
        slot.report(&Report::Arrived(step.clone()), &Seen { text: "余票".repeat(500), observation });
        let (report, Seen { text: seen, observation }) = slot.read_report();
        assert_eq!(observation.as_str().len(), Observation::MAX);
        assert_eq!(report, Report::Arrived(step));
        assert!(seen.starts_with("余票余票") && seen.len() <= MAX_SEEN);
    }

    #[test]
    fn the_turn_alternates_while_both_sides_sleep() {
        let region = Region::create(SIZE as u64, SIZE).unwrap();
        let timeout = Duration::from_secs(10);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let slot = Slot::new(&region, 0);
                for _ in 0..2000 {
                    while !slot.wait(Side::Worker, timeout) {}
                    slot.report(&Report::Ended, &Seen::default());
                    slot.pass(Side::Worker);
                }
            });
            let slot = Slot::new(&region, 0);
            for _ in 0..2000 {
                slot.command(Command::Begin);
                slot.pass(Side::Scheduler);
                while !slot.wait(Side::Scheduler, timeout) {}
                assert_eq!(slot.read_report().0, Report::Ended);
            }
        });
    }
}
