//! Waits for any of several descriptors: poll, select, epoll.

use super::{Ends, Kind, Scene, Wait, descriptor};
use crate::sys::pid::Pid;
use crate::sys::procfs::descriptors::watched_by_epoll;
use crate::sys::procfs::memory::read;

/// Descriptors that are examined; a wait for more than these may be ended from outside.
const MOST: u64 = 64;

/// What may end such a wait beside the descriptors.
#[derive(Debug, Default)]
pub(super) struct Beside {
    /// It has a timeout.
    pub(super) times_out: bool,
    /// The end of a child, for whose signal the call is open.
    pub(super) child: Option<Wait>,
}

/// `poll(2)`: `count` structures of 8 bytes at `address`.
pub(super) fn poll(pid: Pid, address: u64, count: u64, beside: Beside, scene: &Scene) -> Wait {
    const WRITES: i16 = 0x0004;
    let mut waits = Vec::new();
    for index in 0..count.min(MOST) {
        let Some(entry) = address.checked_add(index * 8).and_then(|at| read::<8>(pid, at)) else { break };
        let fd = i32::from_ne_bytes([entry[0], entry[1], entry[2], entry[3]]);
        let events = i16::from_ne_bytes([entry[4], entry[5]]);
        if let Ok(fd) = u64::try_from(fd) {
            waits.push(descriptor::wait(pid, fd, events & WRITES != 0, scene));
        }
    }
    any_of(waits, count > MOST, beside)
}

/// `select(2)`: bit sets to read, to write, and for exceptions.
pub(super) fn select(pid: Pid, count: u64, sets: [u64; 3], beside: Beside, scene: &Scene) -> Wait {
    let mut waits = Vec::new();
    for (set, writes) in [(sets[0], false), (sets[1], true)] {
        let Some(bits) = (set != 0).then(|| read::<128>(pid, set)).flatten() else { continue };
        for fd in 0..count.min(1024) {
            if bits[(fd / 8) as usize] & (1 << (fd % 8)) != 0 && waits.len() < MOST as usize {
                waits.push(descriptor::wait(pid, fd, writes, scene));
            }
        }
    }
    any_of(waits, false, beside)
}

/// `epoll_wait(2)` on `fd`.
pub(super) fn epoll(pid: Pid, fd: u64, beside: Beside, scene: &Scene) -> Wait {
    let watched = watched_by_epoll(pid, fd);
    let more = watched.len() as u64 > MOST;
    let waits =
        watched.into_iter().take(MOST as usize).map(|fd| descriptor::wait(pid, fd, false, scene)).collect();
    any_of(waits, more, beside)
}

fn any_of(mut waits: Vec<Option<Wait>>, more: bool, beside: Beside) -> Wait {
    const SHOWN: usize = 3;
    let Beside { times_out, child } = beside;
    let is_for_children = child.is_some();
    // First, because it is what such a program waits for: the descriptors are for more work meanwhile.
    if is_for_children {
        waits.insert(0, child);
    }
    let known: Vec<&Wait> = waits.iter().flatten().collect();
    let mut words: Vec<String> = Vec::new();
    for wait in &known {
        let word = match known[..] {
            [_] if !times_out => wait.on.clone(),
            _ => wait.on.replace(descriptor::NO_OTHER, ""),
        };
        if !words.contains(&word) {
            words.push(word);
        }
    }
    let rest = words.len().saturating_sub(SHOWN);
    words.truncate(SHOWN);
    let mut on = words.join(" or ");
    if rest > 0 {
        on.push_str(&format!(" or {rest} more"));
    }
    if on.is_empty() {
        let (kind, word) = if times_out { (Kind::Timer, "timer") } else { (Kind::Signal, "signal") };
        return Wait::outside(kind, word);
    }
    if times_out {
        on.push_str(", or timer");
    }
    let mut all = Vec::new();
    let certain = !more && !times_out && waits.iter().all(Option::is_some);
    let closed = certain
        && known.iter().all(|wait| match &wait.ends {
            Ends::Only(pids) => {
                all.extend(pids);
                true
            }
            Ends::Threads(_) | Ends::Outside => false,
        });
    all.sort_unstable();
    all.dedup();
    let kind = match &known[..] {
        _ if is_for_children => Kind::Child,
        [only] => only.kind,
        _ => Kind::Several,
    };
    Wait { on, kind, ends: if closed { Ends::Only(all) } else { Ends::Outside } }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pipe_from(pid: i32) -> Option<Wait> {
        let pid = Pid::from_raw(pid);
        Some(Wait { on: format!("pipe from {pid}"), kind: Kind::Pipe, ends: Ends::Only(vec![pid]) })
    }

    fn timer() -> Beside {
        Beside { times_out: true, child: None }
    }

    #[test]
    fn an_own_pipe_is_no_deadlock_where_the_end_of_a_child_interrupts_the_call() {
        let pid = Pid::from_raw(7);
        let on = format!("its own pipe{}", descriptor::NO_OTHER);
        let own = Wait { on, kind: Kind::Pipe, ends: Ends::Only(vec![pid]) };
        let child = Pid::from_raw(8);
        let end =
            Wait { on: "child 8 cc (SIGCHLD)".into(), kind: Kind::Child, ends: Ends::Only(vec![child]) };
        let wait = any_of(vec![Some(own)], false, Beside { times_out: false, child: Some(end) });
        assert_eq!((wait.on.as_str(), wait.kind), ("child 8 cc (SIGCHLD) or its own pipe", Kind::Child));
        assert_eq!(wait.ends, Ends::Only(vec![pid, child]));
    }

    #[test]
    fn a_poll_of_two_pipes_can_be_ended_by_either_writer() {
        let wait = any_of(vec![pipe_from(8), pipe_from(7)], false, Beside::default());
        assert_eq!(wait.on, "pipe from 8 or pipe from 7");
        assert_eq!(wait.ends, Ends::Only(vec![Pid::from_raw(7), Pid::from_raw(8)]));
    }

    #[test]
    fn a_timeout_or_an_unknown_descriptor_may_end_it_from_outside() {
        assert_eq!(any_of(vec![pipe_from(8)], false, timer()).ends, Ends::Outside);
        assert_eq!(any_of(vec![pipe_from(8), None], false, Beside::default()).ends, Ends::Outside);
        assert_eq!(any_of(Vec::new(), false, timer()).on, "timer");
    }
}
