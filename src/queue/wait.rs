//! How long to spin, and how to sleep.

use super::channel::Channel;
use super::error::JoinQueueError;
use super::layout::{RECEIVERS_CPU, SENDERS_CPU};
use super::members;
use super::memory::Memory;
use super::process_id::{ProcessId, Watched, has_ended};
use super::side::Side;
use super::wake_event::{settled, times_settled};
use crate::sys::pid::Pid;
use crate::sys::poll::{Deadline, readable};
use crate::sys::task;
use crate::sys::ticks::ticks;
use crate::wait::{WaitAnyError, Waitable, Wakers, wait_until};
use std::cell::Cell;
use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// How long a caller is willing to wait.
#[derive(Debug, Clone, Copy)]
pub(super) enum WaitLimit {
    /// Not at all, except for [`TRY_LOCK_WAIT`] for a lock.
    Try,
    Until(Deadline),
}

/// How long a `try_` operation waits for a lock. A holder keeps it for microseconds, unless it is stopped or
/// copies a message of many megabytes.
const TRY_LOCK_WAIT: Duration = Duration::from_millis(20);
/// The interval at which a sleeper checks processes for which it could not open a pidfd.
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// How long a side spins before it sleeps, in ticks: 30 to 100 microseconds, about the cost of a sleep and a
/// wake-up.
const SPIN_TICKS: u64 = 100_000;
/// Checks between two yields while the other side runs on another processor.
const CHECKS_PER_YIELD: u32 = 8;
/// The shortest and the longest gap between two checks, in pauses: the longest is about a microsecond.
const GAP: std::ops::RangeInclusive<u64> = 2..=64;
/// Every Nth wait on the same processor as the other side is a sleep.
const SLEEP_EVERY: u32 = 64;

/// The offsets at which one side records its processor and finds that of the other side.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiter {
    own: usize,
    other: usize,
}

pub(super) const SENDER: Waiter = Waiter { own: SENDERS_CPU, other: RECEIVERS_CPU };
pub(super) const RECEIVER: Waiter = Waiter { own: RECEIVERS_CPU, other: SENDERS_CPU };

thread_local! {
    static SHARED_WAITS: Cell<u32> = const { Cell::new(0) };
}

impl WaitLimit {
    #[inline]
    pub(super) fn for_lock(self) -> Deadline {
        match self {
            WaitLimit::Try => Deadline::after(TRY_LOCK_WAIT),
            WaitLimit::Until(deadline) => deadline,
        }
    }
}

impl Waiter {
    /// Whether the other side last waited on this processor. This is only a hint; if it is wrong, it costs time.
    fn shares_processor(self, memory: &Memory) -> bool {
        let Some(processor) = task::processor() else { return false };
        let cpu = processor as u64 + 1;
        if memory.load(self.own) != cpu {
            memory.store(self.own, cpu);
        }
        memory.load(self.other) == cpu
    }

    /// Spins until `condition` is true or the time budget is used up, yielding in between. Returns whether the
    /// condition became true.
    ///
    /// If the two sides share a processor, spinning is useless, so each yields immediately to the other. Once in a
    /// while one of them sleeps instead, because the scheduler moves a process that is woken to an idle processor.
    ///
    /// If they run on different processors, the gap between two checks grows with the capacity. Each check takes a
    /// cache line away from the other side, so it should find several messages at once, but before the queue is full
    /// or empty: a receiver that follows the sender closely costs it a cache miss per message.
    pub(super) fn spin_until(self, memory: &Memory, condition: impl Fn() -> bool) -> bool {
        let gap = (2 * memory.layout.capacity).clamp(*GAP.start(), *GAP.end());
        let (begin, mut checks) = (ticks(), 0);
        let mut same_processor = self.shares_processor(memory);
        if same_processor {
            let waits = SHARED_WAITS.get().wrapping_add(1);
            SHARED_WAITS.set(waits);
            if waits.is_multiple_of(SLEEP_EVERY) {
                return condition();
            }
        }
        if !same_processor {
            pause(gap);
        }
        loop {
            if condition() {
                return true;
            }
            checks += 1;
            if same_processor || checks == CHECKS_PER_YIELD {
                if ticks().wrapping_sub(begin) > SPIN_TICKS {
                    return false;
                }
                std::thread::yield_now();
                checks = 0;
                same_processor = self.shares_processor(memory);
            } else {
                pause(gap);
            }
        }
    }
}

fn pause(times: u64) {
    (0..times).for_each(|_| std::hint::spin_loop());
}

/// Why a sleep ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WakeReason {
    /// The event was set, or something else happened that requires another check.
    Recheck,
    /// The other side is gone.
    HungUp,
    TimedOut,
}

/// Sleeps in a queue that is not shared, given how often its bell had rung before the caller found nothing to do.
pub(super) fn sleep_unshared(side: &Side, rung: u64, deadline: Deadline) -> WakeReason {
    // It rings after a side was dropped.
    if side.is_hung_up() {
        WakeReason::HungUp
    } else if side.end.channel.bell.wait(rung, deadline) {
        WakeReason::Recheck
    } else {
        WakeReason::TimedOut
    }
}

/// Sleeps until there is room or the receivers are gone. `rung` is how often the bell had rung before the caller found
/// nothing to do.
pub(super) fn sleep_until_room(side: &Side, rung: u64, deadline: Deadline) -> io::Result<WakeReason> {
    let Some(line) = side.end.line() else {
        return Ok(sleep_unshared(side, rung, deadline));
    };
    if side.end.channel.bell.count() != rung {
        return Ok(WakeReason::Recheck);
    }
    Ok(match readable(&[line.as_fd()], deadline)?[0] {
        false => WakeReason::TimedOut,
        true if line.is_hung_up() => WakeReason::HungUp,
        true => WakeReason::Recheck,
    })
}

/// A sleep until the event is set or the receivers are gone.
struct Settling<'a> {
    side: &'a Side,
    seen: u32,
}

impl Waitable for Settling<'_> {
    fn enroll<'a>(&'a self, wakers: &mut Wakers<'a>) -> Result<bool, WaitAnyError> {
        let memory = &self.side.end.channel.memory;
        let Some(line) = self.side.end.line() else { return Ok(true) };
        if times_settled(memory) != self.seen || line.is_hung_up() {
            return Ok(true);
        }
        wakers.wake_on_hang_up(line.as_fd());
        wakers.wake_by_all(settled(memory), self.seen);
        Ok(false)
    }
}

/// Sleeps until all may be done, in a queue that is shared.
pub(super) fn sleep_until_settled(
    side: &Side,
    seen: u32,
    deadline: Deadline,
) -> Result<WakeReason, JoinQueueError> {
    match wait_until(&[Settling { side, seen }], deadline) {
        Ok(ready) if ready.is_empty() => Ok(WakeReason::TimedOut),
        Ok(_) => Ok(WakeReason::Recheck),
        Err(WaitAnyError::Os(error)) => Err(error.into()),
        Err(other) => Err(io::Error::other(other).into()),
    }
}

/// Sleeps until a message arrives, the senders are gone (unless that is known), or a process that may hold a
/// lease ends.
pub(super) fn sleep_for_items(
    side: &Side,
    known_hung_up: bool,
    rung: u64,
    deadline: Deadline,
) -> io::Result<WakeReason> {
    let channel = &*side.end.channel;
    let (Some(line), Some(inbox)) = (side.end.line(), side.end.inbox()) else {
        return Ok(sleep_unshared(side, rung, deadline));
    };
    if channel.bell.count() != rung {
        return Ok(WakeReason::Recheck);
    }
    let Some((holders, all_watched)) = watch_holders(channel) else { return Ok(WakeReason::Recheck) };
    let mut fds = vec![inbox.returned.as_fd()];
    if !known_hung_up {
        fds.push(line.as_fd());
    }
    fds.extend(holders.iter().map(|pidfd| pidfd.as_fd()));
    let left = deadline.left();
    let until = if all_watched {
        deadline
    } else {
        Deadline::after(left.unwrap_or(POLL_INTERVAL).min(POLL_INTERVAL))
    };
    let ready = readable(&fds, until)?;
    Ok(if ready.contains(&true) || !deadline.is_over() { WakeReason::Recheck } else { WakeReason::TimedOut })
}

/// Opens a pidfd for each other process that may hold a lease, and returns them with whether all could be
/// opened; `None` if one of the processes has ended.
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
