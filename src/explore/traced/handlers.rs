//! Signal handlers that interrupt the computation between two system calls.
//!
//! The point of interruption matters only through memory that the handler shares with the interrupted code. So each handler
//! is single-stepped, and the words that it accesses outside its own stack become facts. From then on, debug registers
//! stop the process after each access to one of these words, and a signal may arrive there as at a system call. There are
//! four debug registers; a handler that shares more words is reported as uncontrolled.

use std::collections::BTreeSet;
use std::ops::Range;

use nix::libc;

use super::machine::{Done, Machine, failed};
use super::signals::Disposition;
use super::waiting::Came;
use super::world::World;
use crate::sys::procfs::maps;
use crate::sys::ptrace::arch::Registers;
use crate::sys::ptrace::memory;
use crate::sys::ptrace::operand::{LONGEST, Operand, only_stores};
use crate::sys::ptrace::stops::{self, Stop};
use crate::sys::ptrace::watch::{self, Watched};

/// Reported when arrivals between two calls are not explored.
const AMID: &str =
    "a signal handler amid the program's own computation, with which it shares more than four words";

/// The size of a word, in bytes.
const WORD: u64 = 8;
/// The size of the area below the stack pointer that a function may use (System V ABI), in bytes.
const RED_ZONE: u64 = 128;
/// The length of a buffer whose length is not the next argument of its call, in bytes.
const SHORT: u64 = 64;
/// The maximum number of traced instructions of a handler.
const MOST_INSTRUCTIONS: u64 = 50_000;

/// A running handler.
#[derive(Clone, Debug)]
pub(super) struct Running {
    /// The end of the interrupted code's stack. Everything below belongs to the handler.
    floor: u64,
    /// The handler's alternate stack, if it has one.
    own: Option<(u64, u64)>,
    /// The mappings of the process.
    maps: Vec<maps::Mapping>,
    /// The operands of the current instruction, with their values before it.
    accesses: Vec<(Operand, Vec<u8>)>,
    /// Whether that instruction only stores its operand.
    only_stores: bool,
    instructions: u64,
}

/// The fact that a variable is shared with a handler.
fn word_fact(name: &str, word: Watched) -> String {
    let kind = if word.reads { CHANGED } else { READ };
    format!("{kind} of {name} {:#x} {}", word.address, word.length)
}

const CHANGED: &str = "a handler changes";
const READ: &str = "a handler reads";

/// The addresses at which a buffer would meet one of the variables that processes are known to share with their handlers.
pub(super) fn shared_with_handlers(learned: &BTreeSet<String>) -> Vec<Range<u64>> {
    let is_word = |fact: &&String| fact.starts_with(CHANGED) || fact.starts_with(READ);
    let mut ranges: Vec<Range<u64>> = learned
        .iter()
        .filter(is_word)
        .filter_map(|fact| word_of(fact.rsplit_once("0x")?.1))
        .map(|(address, length)| address.saturating_sub(SHORT - 1)..address.saturating_add(length))
        .collect();
    ranges.sort_unstable_by_key(|range| range.start);
    ranges.dedup();
    ranges
}

/// The address and length at the end of such a fact.
fn word_of(place: &str) -> Option<(u64, u64)> {
    let (address, length) = place.split_once(' ')?;
    Some((u64::from_str_radix(address, 16).ok()?, length.parse().ok()?))
}

/// The fact that handlers of a process read what they change, so that two signals differ from one.
pub(super) fn depends_on_itself(name: &str) -> String {
    format!("handlers of {name} read what they change")
}

/// The fact that the handlers of a process share too much to be watched.
fn much_fact(name: &str) -> String {
    format!("the handlers of {name}{SHARE_MUCH}")
}

const SHARE_MUCH: &str = " share much";

impl World {
    /// The known words that the process shares with its handlers.
    fn shared_words(&self, task: usize) -> Vec<Watched> {
        let name = &self.process(task).name;
        let mut words: Vec<Watched> = Vec::new();
        for (kind, reads) in [(CHANGED, true), (READ, false)] {
            let prefix = format!("{kind} of {name} 0x");
            let known = self.learned.iter().filter_map(|fact| fact.strip_prefix(prefix.as_str()));
            let known = known.filter_map(|place| {
                word_of(place).map(|(address, length)| Watched { address, length, reads })
            });
            let new: Vec<Watched> =
                known.filter(|word| !words.iter().any(|known| known.covers(word))).collect();
            words.extend(new);
        }
        words
    }

    /// Whether handlers of the process are known to change a part of the operand.
    fn changed_by_handlers(&self, task: usize, operand: Operand) -> bool {
        let end = operand.address.saturating_add(operand.length);
        let meets = |word: &Watched| word.address < end && operand.address < word.address + word.length;
        self.shared_words(task).iter().any(|word| word.reads && meets(word))
    }

    /// Whether the call at which the task is reads or writes a word that it shares with its handlers.
    pub(super) fn shares_buffer_with_handlers(&self, task: usize) -> bool {
        const LONGEST_BUFFER: u64 = 1 << 20;
        let words = self.shared_words(task);
        let call = self.call(task);
        if words.is_empty() {
            return false;
        }
        // The buffers of these are named in memory.
        let is_vector = matches!(
            call.number,
            libc::SYS_readv
                | libc::SYS_writev
                | libc::SYS_preadv
                | libc::SYS_preadv2
                | libc::SYS_pwritev
                | libc::SYS_pwritev2
                | libc::SYS_recvmsg
                | libc::SYS_sendmsg
        );
        let holds = |at: usize| {
            let next = call.args.get(at + 1).copied().unwrap_or(0);
            let length = if next <= LONGEST_BUFFER { next.max(SHORT) } else { SHORT };
            let buffer = call.args[at]..call.args[at].saturating_add(length);
            words.iter().any(|word| word.address < buffer.end && buffer.start < word.address + word.length)
        };
        is_vector || (0..call.args.len()).any(holds)
    }

    /// Whether the handlers of some process share too much to be watched.
    pub(super) fn shares_much(&self) -> bool {
        self.learned.iter().any(|fact| fact.ends_with(SHARE_MUCH))
    }

    /// Whether a handler could run now: some caught signal is not blocked, and another process could send it.
    fn may_be_interrupted(&self, task: usize) -> bool {
        self.may_be_signalled(task) && self.masks(task).lets_a_handler_run()
    }
}

impl Machine {
    /// Resumes the task in its program, and delivers `signal` unless it is 0.
    pub(super) fn run(&mut self, index: usize, signal: i32) -> Done {
        let tid = self.world.tid(index);
        if signal != 0 && self.world.is_receiver(index) {
            self.handler_begins(index, signal)?;
        }
        if self.world.tasks[index].handler.is_some() {
            return stops::step_with(tid, signal).map_err(failed("step"));
        }
        if !self.world.tasks[index].is_watched && self.world.is_receiver(index) {
            self.world.tasks[index].is_watched = true;
            let words = self.world.shared_words(index);
            if watch::set(tid, &words).is_err() {
                self.world.note(AMID);
            }
        }
        // A template stops at every call.
        let go = if self.prelude.is_some() { stops::resume_to_exit } else { stops::resume };
        go(tid, signal).map_err(failed("resume"))
    }

    fn handler_begins(&mut self, index: usize, signal: i32) -> Done {
        let tid = self.world.tid(index);
        if self.world.masks(index).disposition(signal) != Disposition::Caught {
            return Ok(());
        }
        if let Some(running) = &self.world.tasks[index].handler {
            if running.instructions > 0 {
                self.world.note("a signal handler that another one interrupts");
            }
            return Ok(());
        }
        if self.world.learned.contains(&much_fact(&self.world.process(index).name)) {
            self.world.note(AMID);
            return Ok(());
        }
        let stack = Registers::of(tid).map_err(failed("registers"))?.stack();
        // The handler itself must not stop at these words.
        let _ = watch::set(tid, &[]);
        let task = &mut self.world.tasks[index];
        task.is_watched = false;
        task.handler = Some(Running {
            floor: stack.saturating_sub(RED_ZONE),
            own: None,
            maps: maps::of(tid),
            accesses: Vec::new(),
            only_stores: false,
            instructions: 0,
        });
        Ok(())
    }

    /// Ends the trace of a handler.
    pub(super) fn handler_ends(&mut self, index: usize) {
        self.world.tasks[index].handler = None;
    }

    /// Waits for the next stop of a task, apart from the single steps of a traced handler.
    pub(super) fn next_in_program(&mut self, index: usize) -> Done<Came> {
        loop {
            if self.world.tasks[index].handler.is_none() {
                return self.next_of(index);
            }
            let tid = self.world.tid(index);
            let stop = match stops::next(true).map_err(failed("waitpid"))? {
                Some((stopped, stop)) if stopped == tid => stop,
                Some((other, stop)) => {
                    self.absorb(other, stop)?;
                    continue;
                }
                None => continue,
            };
            if stop != Stop::Signal(libc::SIGTRAP) {
                return Ok(Came::Stop(stop));
            }
            self.instruction_done(index)?;
            self.run(index, 0)?;
        }
    }

    /// Learns the accesses of the instruction that the handler has executed, and decodes the next one.
    fn instruction_done(&mut self, index: usize) -> Done {
        let tid = self.world.tid(index);
        let Some(mut running) = self.world.tasks[index].handler.take() else { return Ok(()) };
        for (operand, before) in std::mem::take(&mut running.accesses) {
            let after = memory::read(tid, operand.address, before.len()).unwrap_or_default();
            let is_changed = before != after;
            let reads_changed = || self.world.changed_by_handlers(index, operand);
            if !running.only_stores && (is_changed || reads_changed()) {
                let fact = depends_on_itself(&self.world.process(index).name);
                self.world.learn(fact);
            }
            self.learn_words(index, operand, is_changed);
        }
        running.instructions += 1;
        let registers = Registers::of(tid).map_err(failed("registers"))?;
        if running.instructions == 1 {
            running.own = own_stack(registers.stack(), running.floor, &running.maps);
        }
        let has_left = running.own.is_none() && registers.stack() > running.floor + RED_ZONE;
        if has_left || running.instructions > MOST_INSTRUCTIONS {
            self.world.note(if has_left { "a signal handler that does not return" } else { AMID });
            return Ok(());
        }
        let at = registers.instruction();
        if !running.maps.iter().any(|map| map.is_loader && map.holds(at)) {
            let code = memory::read(tid, at, LONGEST).unwrap_or_default();
            match registers.operands(&code) {
                // The address of a library function, which only the dynamic loader writes.
                Some(_) if Registers::is_stub(&code) => {}
                Some(operands) => {
                    let thread = registers.thread();
                    let is_met = |operand: &Operand| running.is_shared(*operand, thread);
                    let met = operands.into_iter().filter(is_met).map(|operand| {
                        let length = (operand.length as usize).min(64);
                        (operand, memory::read(tid, operand.address, length).unwrap_or_default())
                    });
                    let met: Vec<_> = met.collect();
                    (running.accesses, running.only_stores) = (met, only_stores(&code));
                }
                None => {
                    let name = self.world.process(index).name.clone();
                    self.world.learn(much_fact(&name));
                    self.world.note(AMID);
                    return Ok(());
                }
            }
        }
        self.world.tasks[index].handler = Some(running);
        Ok(())
    }

    fn learn_words(&mut self, index: usize, operand: Operand, is_changed: bool) {
        let name = self.world.process(index).name.clone();
        let known = self.world.shared_words(index);
        for (address, length) in pieces(operand) {
            let word = Watched { address, length, reads: is_changed };
            if self.world.map_at(index, address).is_some() {
                // Each access to shared memory is a step anyway.
                continue;
            }
            if known.iter().any(|known| known.covers(&word)) {
                continue;
            }
            let is_new = known.iter().all(|known| (known.address, known.length) != (address, length));
            if is_new && known.len() >= watch::MOST {
                self.world.learn(much_fact(&name));
                return;
            }
            self.world.learn(word_fact(&name, word));
        }
    }

    /// Handles a trap: `None` if it is the program's own, otherwise whether the task is held because a signal may arrive
    /// here.
    pub(super) fn has_accessed(&mut self, index: usize) -> Done<Option<bool>> {
        let tid = self.world.tid(index);
        if !self.world.tasks[index].is_watched || !watch::was_accessed(tid).map_err(failed("registers"))? {
            return Ok(None);
        }
        if self.world.may_be_signalled(index) {
            self.world.meets_handlers(index);
        }
        if !self.world.may_be_interrupted(index) {
            return Ok(Some(false));
        }
        self.world.tasks[index].row = Some(super::calls::COMPUTATION);
        self.world.hold(index);
        Ok(Some(true))
    }
}

impl Running {
    /// Whether the interrupted code may access this operand.
    fn is_shared(&self, operand: Operand, thread: u64) -> bool {
        /// The size of the thread control block that the C library does not change (`tcbhead_t`, up to the pointer guard).
        const FIXED: u64 = 0x38;
        let Operand { address, .. } = operand;
        if (thread..thread + FIXED).contains(&address) {
            return false;
        }
        if self.own.is_some_and(|(start, end)| (start..end).contains(&address)) {
            return false;
        }
        let map = self.maps.iter().find(|map| map.holds(address));
        let is_stack = map.is_some_and(|map| map.holds(self.floor));
        if is_stack && address < self.floor {
            return false;
        }
        map.is_none_or(|map| map.is_writable)
    }
}

/// The parts of an operand that debug registers can watch: itself, or the words that contain it.
fn pieces(operand: Operand) -> Vec<(u64, u64)> {
    let Operand { address, length } = operand;
    if matches!(length, 1 | 2 | 4 | 8) && address.is_multiple_of(length) {
        return vec![(address, length)];
    }
    let last = address + length.clamp(1, 64) - 1;
    (address / WORD * WORD..=last).step_by(WORD as usize).map(|word| (word, WORD)).collect()
}

/// The handler's alternate stack, if it runs on one.
fn own_stack(stack: u64, floor: u64, maps: &[maps::Mapping]) -> Option<(u64, u64)> {
    const DEEP: u64 = 64 << 10;
    const FRAME: u64 = 8 << 10;
    let map = maps.iter().find(|map| map.holds(stack))?;
    (!map.holds(floor)).then_some((stack.saturating_sub(DEEP), stack + FRAME))
}
