//! How long to look, and how to sleep.

use super::channel::{Channel, Side};
use super::members;
use super::process_id::{Watched, has_ended};
use crate::sys::poll::{Deadline, readable};
use crate::sys::ticks::ticks;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// How long a caller is ready to wait.
#[derive(Debug, Clone, Copy)]
pub(super) enum Patience {
    /// Not at all, apart from a moment for a lock.
    Try,
    Until(Deadline),
}

/// Whoever only tries waits this long for a lock that is held: its holder works for microseconds,
/// unless it is stopped or copies a message of many megabytes.
const A_MOMENT: Duration = Duration::from_millis(20);
/// How often a sleeper asks for processes that the kernel does not let it watch.
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// How long the other side is looked for before a sleep, in ticks: 30 to 100 microseconds, about what
/// a sleep and a wake-up cost.
const BUDGET: u64 = 100_000;
/// Looks between two yields, and pauses between two looks: both are few, for when the other side waits
/// for this very processor, nothing comes before the yield.
const LOOKS: u32 = 8;
const PAUSES: u32 = 4;

impl Patience {
    #[inline]
    pub(super) fn for_lock(self) -> Deadline {
        match self {
            Patience::Try => Deadline::after(A_MOMENT),
            Patience::Until(deadline) => deadline,
        }
    }
}

/// Looks for a while whether it has come true, and lets others run in between.
#[inline]
pub(super) fn spin_until(condition: impl Fn() -> bool) -> bool {
    let begin = ticks();
    loop {
        for _ in 0..LOOKS {
            if condition() {
                return true;
            }
            for _ in 0..PAUSES {
                std::hint::spin_loop();
            }
        }
        if ticks().wrapping_sub(begin) > BUDGET {
            return false;
        }
        std::thread::yield_now();
    }
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
fn watch_holders(channel: &Channel) -> Option<(Vec<Arc<OwnedFd>>, bool)> {
    let holders = members::leasing(channel);
    if holders.is_empty() {
        return Some((Vec::new(), true));
    }
    let own = std::process::id();
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
