//! How long to spin, and how to sleep.

use super::channel::Channel;
use super::layout::{RECEIVERS_CPU, SENDERS_CPU};
use super::members;
use super::memory::Memory;
use super::process_id::{ProcessId, Watched, has_ended};
use super::side::Side;
use crate::sys::pid::Pid;
use crate::sys::poll::{Deadline, readable};
use crate::sys::task;
use crate::sys::ticks::ticks;
use std::cell::Cell;
use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// How long a caller is ready to wait.
#[derive(Debug, Clone, Copy)]
pub(super) enum Patience {
    /// Not at all, apart from [`TRY_LOCK_WAIT`] for a lock.
    Try,
    Until(Deadline),
}

/// An operation that only tries waits this long for a lock that is held: its holder works for microseconds,
/// unless it is stopped or copies a message of many megabytes.
const TRY_LOCK_WAIT: Duration = Duration::from_millis(20);
/// How often a sleeper asks for processes that the kernel does not let it watch.
pub(super) const ASK_AGAIN: Duration = Duration::from_millis(50);

/// How long a side spins before it sleeps, in ticks: 30 to 100 microseconds, about what
/// a sleep and a wake-up cost.
const BUDGET: u64 = 100_000;
/// Looks between two yields while the other side runs beside this one.
const LOOKS: u32 = 8;
/// The longest gap between two looks, in pauses: about a microsecond.
const MAX_GAP: u64 = 64;
/// In a queue of at least this capacity the first gap is the longest, too.
const LARGE: u64 = 512;
/// Every Nth wait on the same processor as the other side is a sleep.
const SLEEP_EVERY: u32 = 64;

/// One side: where it records its processor, and where it finds that of the other side.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiter {
    own: usize,
    other: usize,
}

pub(super) const A_SENDER: Waiter = Waiter { own: SENDERS_CPU, other: RECEIVERS_CPU };
pub(super) const A_RECEIVER: Waiter = Waiter { own: RECEIVERS_CPU, other: SENDERS_CPU };

thread_local! {
    static WAITS_TOGETHER: Cell<u32> = const { Cell::new(0) };
}

impl Patience {
    #[inline]
    pub(super) fn for_lock(self) -> Deadline {
        match self {
            Patience::Try => Deadline::after(TRY_LOCK_WAIT),
            Patience::Until(deadline) => deadline,
        }
    }
}

impl Waiter {
    /// Whether the other side was last seen waiting on this very processor. Only a hint: a wrong one
    /// costs time, nothing else.
    fn is_together(self, memory: &Memory) -> bool {
        let Some(processor) = task::processor() else { return false };
        let cpu = processor as u64 + 1;
        if memory.load(self.own) != cpu {
            memory.store(self.own, cpu);
        }
        memory.load(self.other) == cpu
    }

    /// Looks for a while whether it has come true, and lets others run in between.
    ///
    /// Two that share a processor gain nothing by looking: each yields at once to the other. Now and
    /// then one of them sleeps instead, for a process that is woken is put on an idle processor.
    ///
    /// Two that run side by side look at growing intervals, in a large queue at long ones from the start. Each
    /// look takes a cache line away from the other side, so it should find several messages at once: a
    /// receiver that is at the sender's heels costs it a line for each message that it writes.
    pub(super) fn spin_until(self, memory: &Memory, condition: impl Fn() -> bool) -> bool {
        let longest = memory.layout.capacity.clamp(4, MAX_GAP);
        let (begin, mut looks) = (ticks(), 0);
        let mut gap = if memory.layout.capacity >= LARGE { MAX_GAP } else { 1 };
        let mut together = self.is_together(memory);
        if together {
            let waits = WAITS_TOGETHER.get().wrapping_add(1);
            WAITS_TOGETHER.set(waits);
            if waits.is_multiple_of(SLEEP_EVERY) {
                return condition();
            }
        }
        if !together && gap > 1 {
            pause(gap);
        }
        loop {
            if condition() {
                return true;
            }
            looks += 1;
            if together || looks == LOOKS {
                if ticks().wrapping_sub(begin) > BUDGET {
                    return false;
                }
                std::thread::yield_now();
                looks = 0;
                together = self.is_together(memory);
            } else {
                pause(gap);
                gap = (gap * 2).min(longest);
            }
        }
    }
}

fn pause(times: u64) {
    (0..times).for_each(|_| std::hint::spin_loop());
}

/// What ended a sleep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Awake {
    /// The bell rang, or something else happened that is worth a look.
    Look,
    /// The other side is gone.
    HungUp,
    TimedOut,
}

/// Sleeps until the bell rings, or the other side is gone.
pub(super) fn sleep(bell: BorrowedFd<'_>, side: &Side, deadline: Deadline) -> io::Result<Awake> {
    let ready = readable(&[bell, side.line()], deadline)?;
    Ok(match ready[..] {
        [_, true] => Awake::HungUp,
        [true, false] => Awake::Look,
        _ => Awake::TimedOut,
    })
}

/// Sleeps until something came in, until the senders are gone (unless that is known), or until a process
/// that may hold a lease ends.
pub(super) fn sleep_for_items(side: &Side, known_hung_up: bool, deadline: Deadline) -> io::Result<Awake> {
    let channel = &*side.channel;
    let Some((holders, all_watched)) = watch_holders(channel) else { return Ok(Awake::Look) };
    let mut fds = vec![channel.items.as_fd()];
    if !known_hung_up {
        fds.push(side.line());
    }
    fds.extend(holders.iter().map(|pidfd| pidfd.as_fd()));
    let left = deadline.left();
    let until =
        if all_watched { deadline } else { Deadline::after(left.unwrap_or(ASK_AGAIN).min(ASK_AGAIN)) };
    let ready = readable(&fds, until)?;
    if !known_hung_up && ready[1] {
        return Ok(Awake::HungUp);
    }
    Ok(if ready.contains(&true) || !deadline.is_over() { Awake::Look } else { Awake::TimedOut })
}

/// Opens the other processes that may hold a lease, and says whether all could be opened; `None` if one
/// of them has ended.
pub(super) fn watch_holders(channel: &Channel) -> Option<(Vec<Arc<OwnedFd>>, bool)> {
    let holders: HashSet<ProcessId> = members::leasing(&channel.memory).map(|(_, process)| process).collect();
    if holders.is_empty() {
        return Some((Vec::new(), true));
    }
    let own = Pid::this();
    let mut watched = channel.watched.lock().unwrap_or_else(PoisonError::into_inner);
    watched.retain(|process, _| holders.contains(process));
    let mut all = true;
    for process in holders.into_iter().filter(|process| process.pid != own) {
        if watched.get(&process).is_some_and(|pidfd| !has_ended(pidfd)) {
            continue;
        }
        match process.watch() {
            Watched::Alive(pidfd) => drop(watched.insert(process, Arc::new(pidfd))),
            Watched::Unknown => all = false,
            Watched::Dead => return None,
        }
    }
    Some((watched.values().cloned().collect(), all))
}
