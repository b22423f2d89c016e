//! Kills all that is left of a command, however much that is.

use std::collections::HashSet;
use std::os::fd::{AsFd, OwnedFd};

use crate::process::Signal;
use crate::sys::pid::Pid;
use crate::sys::pidfd;

/// Processes that are killed between two reads of the list, by pidfds that are open at once.
const AT_ONCE: usize = 256;

/// Kills the processes that `listed` returns, and calls `after` with the pidfds of each batch. The list is read again for
/// each batch, not for each process.
pub(super) fn kill_listed(mut listed: impl FnMut() -> Vec<Pid>, mut after: impl FnMut(&[OwnedFd])) {
    for batch in listed().chunks(AT_ONCE) {
        let opened: Vec<(Pid, OwnedFd)> =
            batch.iter().filter_map(|pid| Some((*pid, pidfd::open(*pid).ok()?))).collect();
        // A number may have become another process's since it was read. If that process is not in the list now, it is
        // spared; if its pidfd is of one that has ended meanwhile, no process gets the signal.
        let still: HashSet<Pid> = listed().into_iter().collect();
        let killed: Vec<OwnedFd> = opened
            .into_iter()
            .filter(|(pid, process)| {
                still.contains(pid) && pidfd::send_signal(process.as_fd(), Signal::KILL.0).is_ok()
            })
            .map(|(_, process)| process)
            .collect();
        after(&killed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Child, Command};

    #[test]
    fn the_list_is_read_for_each_batch_and_who_is_not_in_it_any_more_is_spared() {
        let mut children: Vec<Child> =
            (0..20).map(|_| Command::new("sleep").arg("60").spawn().unwrap()).collect();
        let pids: Vec<Pid> = children.iter().map(|child| Pid::from_raw(child.id().cast_signed())).collect();
        let (mut reads, mut killed) = (0, 0);
        let listed = || {
            reads += 1;
            // The first one's number belongs to another process by the second read.
            if reads == 1 { pids.clone() } else { pids[1..].to_vec() }
        };
        kill_listed(listed, |batch| killed += batch.len());
        let spared = children[0].try_wait().unwrap().is_none();
        children[0].kill().unwrap();
        for child in &mut children {
            child.wait().unwrap();
        }
        assert_eq!((reads, killed, spared), (2, 19, true));
    }
}
