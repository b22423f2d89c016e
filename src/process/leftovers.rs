//! Ends processes that commands have left behind.

use std::time::Duration;

use crate::sys::pid::Pid;
use crate::sys::poll::Deadline;
use crate::sys::procfs::tree;
use crate::sys::signal::{SIGKILL, SIGSTOP, kill_process};
use crate::sys::wait::kill_and_reap;

/// Kills and reaps everything below this process, which adopts orphans (`PR_SET_CHILD_SUBREAPER(2const)`), for at
/// most `most`. Only for a process whose descendants may all be killed.
pub(crate) fn end_descendants(most: Duration) {
    let (own, deadline) = (Pid::this(), Deadline::after(most));
    while !deadline.is_over() {
        // They are stopped first, so that none forks while the others are killed.
        for signal in [SIGSTOP, SIGKILL] {
            for pid in tree::with_descendants(own).into_iter().filter(|pid| *pid != own) {
                let _ = kill_process(pid, signal);
            }
        }
        match tree::children_by_parent(own) {
            Ok(children) if children.is_empty() => return,
            Ok(children) => children.into_iter().for_each(|child| kill_and_reap(child, most)),
            Err(_) => return,
        }
    }
}
