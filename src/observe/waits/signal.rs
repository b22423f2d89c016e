//! Waits for signals. One for SIGCHLD is a wait for children: shells wait for their jobs in `sigsuspend(2)`, and a small
//! init in `sigwait(3)`.

use super::{Ends, Kind, Scene, Wait, words};
use crate::sys::pid::Pid;
use crate::sys::procfs::descriptors::signals_of_signalfd;
use crate::sys::procfs::memory::read;
use crate::sys::procfs::signals::Signals;
use crate::sys::signal::{SIGCHLD, signal_name};

/// More signals than this are not named.
const NAMED: u32 = 3;

/// In `sigsuspend(2)`, which replaces the mask of blocked signals by the one at `address`.
pub(super) fn suspended(pid: Pid, tid: Pid, address: u64, scene: &Scene) -> Wait {
    let mask = read::<8>(pid, address).map(u64::from_ne_bytes);
    let caught = Signals::of(tid).zip(mask).map(|(signals, mask)| signals.caught() & !mask);
    one_of(pid, caught, false, scene)
}

/// In `pause(2)`.
pub(super) fn paused(pid: Pid, tid: Pid, scene: &Scene) -> Wait {
    let caught = Signals::of(tid).map(|signals| signals.caught() & !signals.blocked());
    one_of(pid, caught, false, scene)
}

/// In `sigtimedwait(2)`, for the signals of the set at `address`.
pub(super) fn timed(pid: Pid, address: u64, times_out: bool, scene: &Scene) -> Wait {
    one_of(pid, read::<8>(pid, address).map(u64::from_ne_bytes), times_out, scene)
}

/// For the signals of a signalfd.
pub(super) fn from_descriptor(pid: Pid, fd: u64, scene: &Scene) -> Wait {
    one_of(pid, signals_of_signalfd(pid, fd), false, scene)
}

/// The end of a child, for a thread in a call that a caught SIGCHLD breaks off, as it does `poll(2)` and its kin whether or
/// not the handler restarts calls. A mask that such a call sets for its duration, as make's does, is the thread's by then.
/// `None` without a handler, without children, or if another thread gets the signal.
pub(super) fn child_beside(pid: Pid, tid: Pid, scene: &Scene) -> Option<Wait> {
    let is_let_in = |tid| {
        let signals = Signals::of(tid)?;
        Some(signals.catches(SIGCHLD) && signals.blocked() >> (SIGCHLD - 1) & 1 == 0)
    };
    // The main thread gets it, unless it blocks it.
    let gets_it = is_let_in(tid)? && (tid == pid || is_let_in(pid) == Some(false));
    (gets_it && !scene.children(pid).is_empty()).then(|| one_of(pid, Some(1 << (SIGCHLD - 1)), false, scene))
}

/// A wait that any signal of a set ends, if the set is known.
fn one_of(pid: Pid, set: Option<u64>, times_out: bool, scene: &Scene) -> Wait {
    let timer = if times_out { ", or timer" } else { "" };
    let Some(set) = set.filter(|set| *set != 0) else {
        return Wait::outside(Kind::Signal, format!("signal{timer}"));
    };
    let named = |set: u64, other: &str| match set.count_ones() {
        0..=NAMED => {
            let numbers = (1..=64).filter(|number| set >> (number - 1) & 1 != 0);
            numbers.map(signal_name).collect::<Vec<_>>().join(" or ")
        }
        count => format!("any of {count} {other}signals"),
    };
    let child_bit = 1_u64 << (SIGCHLD - 1);
    let is_for_children = set & child_bit != 0;
    match &scene.children(pid)[..] {
        children @ [_, ..] if is_for_children => {
            let who = match children {
                [only] => format!("child {}", words::process(*only)),
                several => format!("any of its children {}", scene.labels(several)),
            };
            // Another signal, or time, may end it too.
            let is_all = set.count_ones() == 1 && !times_out;
            let ends = if is_all { Ends::Only(children.to_vec()) } else { Ends::Outside };
            let others = match set & !child_bit {
                0 => String::new(),
                rest => format!(" or {}", named(rest, "other ")),
            };
            Wait { on: format!("{who} (SIGCHLD){others}{timer}"), kind: Kind::Child, ends }
        }
        _ => Wait::outside(Kind::Signal, format!("signal {}{timer}", named(set, ""))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::waits::Actor;

    #[test]
    fn a_wait_for_sigchld_is_one_for_living_children_and_only_alone_is_it_sure() {
        let pid = Pid::from_raw;
        let actor =
            |number, parent, name: &str| Actor { pid: pid(number), ppid: pid(parent), name: name.into() };
        let actors = vec![actor(10, 1, "sh"), actor(11, 10, "sleep"), actor(12, 10, "true")];
        let scene = Scene::imagined(actors, |of| of == Pid::from_raw(12));
        let of = |who, set, times_out| one_of(pid(who), set, times_out, &scene);
        let bit = |signal: i32| 1_u64 << (signal - 1);
        let chld = bit(SIGCHLD);
        let only = of(10, Some(chld), false);
        let on = |wait: &Wait| scene.shown(&wait.on);
        assert_eq!((on(&only).as_str(), only.kind), ("child 11 sleep (SIGCHLD)", Kind::Child));
        assert_eq!(only.ends, Ends::Only(vec![pid(11)]));
        let both = of(10, Some(chld | bit(15)), false);
        assert_eq!(on(&both), "child 11 sleep (SIGCHLD) or SIGTERM");
        assert_eq!(both.ends, Ends::Outside);
        let many = of(10, Some(chld | 0xff00), false);
        assert_eq!(on(&many), "child 11 sleep (SIGCHLD) or any of 8 other signals");
        let timed = of(10, Some(chld), true);
        assert_eq!((on(&timed).as_str(), timed.ends), ("child 11 sleep (SIGCHLD), or timer", Ends::Outside));
        // Without a child no SIGCHLD comes by itself.
        assert_eq!(of(11, Some(chld), false), Wait::outside(Kind::Signal, "signal SIGCHLD"));
        assert_eq!(of(11, None, true), Wait::outside(Kind::Signal, "signal, or timer"));
    }
}
