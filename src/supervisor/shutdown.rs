//! The end of children: terminate, grace, kill, whole process groups, until nothing is left.

use crate::process::{Handle, Signal, forkserver_settle, is_known};
use crate::sys::pid::Pid;
use crate::sys::pidfd;
use crate::sys::poll::{Deadline, readable};
use crate::sys::procfs::tree;
use crate::sys::wait::{Whose, Zombie, is_no_child, try_wait};
use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

const TERM: i32 = 15;
const KILL: i32 = 9;
const CONT: i32 = 18;

/// A process that is killed ends at once, unless it waits for a device that does not answer (state D) or is frozen:
/// then nothing can end it, and the wait for it must be bounded.
const LAST: Duration = Duration::from_secs(10);

/// A child whose group could not be ended.
#[derive(Debug)]
pub struct Left {
    /// The child's name.
    pub name: String,
    /// Its PID, which is its group's number.
    pub pid: Pid,
    /// The error of the system.
    pub error: io::Error,
}

/// Some children could not be ended.
#[derive(Debug, thiserror::Error)]
pub struct ShutdownError {
    /// The children that are left.
    pub left: Vec<Left>,
}

impl fmt::Display for ShutdownError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("some processes could not be ended:")?;
        for Left { name, pid, error } in &self.left {
            write!(f, " {name} (PID {pid}): {error};")?;
        }
        f.write_str(" end them manually")
    }
}

/// Ends `children`, the latest first. All of them share one grace period: each is signalled in its
/// turn, after the later ones have ended or the grace is over.
pub(super) fn shut_down(
    children: Vec<Handle>,
    grace: Duration,
    subreaper: bool,
) -> Result<(), ShutdownError> {
    let deadline = Deadline::after(grace);
    let mut left = Vec::new();
    for child in children.iter().rev() {
        if let Err(error) = end_group(child, deadline, subreaper) {
            left.push(Left { name: child.name().to_owned(), pid: child.pid(), error });
        }
    }
    if left.is_empty() { Ok(()) } else { Err(ShutdownError { left }) }
}

fn end_group(child: &Handle, deadline: Deadline, subreaper: bool) -> io::Result<()> {
    for signal in [TERM, KILL] {
        // The child itself as well: it may have moved to another group, and its own be empty.
        let to_child = child.signal(Signal(signal)).and_then(|()| child.signal(Signal(CONT)));
        let to_group = match child.signal_group(signal).and_then(|()| child.signal_group(CONT)) {
            Err(error) if pidfd::is_gone(&error) => Ok(()),
            sent => sent,
        };
        if signal == KILL {
            // Some of the group are another user's, or all of them; the rest have got the signal.
            to_child.and(to_group)?;
        }
        let until = if signal == KILL { Deadline::after(LAST) } else { deadline };
        if await_end(child, until, subreaper)? {
            return Ok(());
        }
    }
    let seconds = LAST.as_secs();
    Err(io::Error::other(format!("still there {seconds} s after SIGKILL, blocked in the kernel or frozen")))
}

/// Waits until no member of the group is alive, and returns whether that is so before the deadline.
///
/// The leader's end is seen on its pidfd. Its descendants are not our children, and nothing announces
/// their end, so the group is polled at growing intervals.
fn await_end(child: &Handle, deadline: Deadline, subreaper: bool) -> io::Result<bool> {
    let mut pause = Duration::from_micros(100);
    loop {
        let _ = child.reap().map_err(io::Error::other)?;
        if subreaper {
            reap_orphans()?;
        }
        if child.is_reaped() && !group_lives(child)? {
            return Ok(true);
        }
        if deadline.is_over() {
            return Ok(false);
        }
        let next = Deadline::after(deadline.left().map_or(pause, |left| left.min(pause)));
        if child.is_reaped() {
            readable(&[], next)?;
            pause = (pause * 2).min(Duration::from_millis(20));
        } else {
            readable(&[child.as_fd()], deadline)?;
        }
    }
}

/// Whether the group has a member that is not a zombie. The kernel is asked first; only while it knows a
/// member, /proc tells whether that is a zombie whose own parent has yet to reap it.
fn group_lives(child: &Handle) -> io::Result<bool> {
    match child.signal_group(0) {
        Err(error) if pidfd::is_gone(&error) => Ok(false),
        _ => tree::group_has_living(child.pid()),
    }
}

/// Reaps every child of this process that has ended and that this library did not start.
pub(super) fn reap_orphans() -> io::Result<()> {
    for pid in orphans()? {
        match try_wait(Whose::Pid(pid), Zombie::Reap) {
            Err(error) if !is_no_child(&error) => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Kills and reaps the orphans that became children of this process, and the orphans that those leave.
pub(super) fn end_orphans() -> io::Result<()> {
    let mut stubborn = BTreeSet::new();
    loop {
        reap_orphans()?;
        let mut killed = false;
        for pid in orphans()?.into_iter().filter(|pid| !stubborn.contains(pid)).collect::<Vec<_>>() {
            // Only this process reaps it, so the number is the orphan's until then.
            let Ok(orphan) = pidfd::open(pid) else { continue };
            if pidfd::send_signal(orphan.as_fd(), KILL).is_ok() {
                let ended = readable(&[orphan.as_fd()], Deadline::after(LAST))?[0];
                stubborn.extend((!ended).then_some(pid));
                killed = true;
            }
        }
        if !killed {
            return Ok(());
        }
    }
}

fn orphans() -> io::Result<Vec<Pid>> {
    forkserver_settle();
    Ok(tree::children_by_parent(Pid::this())?.into_iter().filter(|pid| !is_known(*pid)).collect())
}
