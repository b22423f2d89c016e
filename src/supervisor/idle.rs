//! Children that wait for their parent while the parent waits for them.
//!
//! A queue stays open while any process has the other end, so a child that reads a queue whose sender is a variable
//! of `main` waits as long as `main` does. A supervisor that is dropped waits for its children, and if it is dropped
//! before that sender, neither would ever end. Nothing but this process could go on: its end of a queue is what the
//! child waits for. That is what is looked for here, by what the kernel knows of the children; a child that sleeps
//! on a clock, a network or a lock is left alone.

use crate::process::Handle;
use crate::sys::pid::Pid;
use crate::sys::procfs::descriptors::Target;
use crate::sys::procfs::stat::turns;
use crate::sys::procfs::syscall::polled_without_timeout;
use crate::sys::procfs::tree::with_descendants;
use crate::wire::inherit;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How often children are examined.
const INTERVAL: Duration = Duration::from_millis(100);

/// Since when no child has run.
#[derive(Debug, Default)]
pub(super) struct Idle {
    since: Option<(Instant, Vec<u64>)>,
}

impl Idle {
    /// When to look again; `None` if this process has no end of a queue, so that no child can wait for it.
    pub(super) fn interval() -> Option<Duration> {
        inherit::holds_any().then_some(INTERVAL)
    }

    /// How long each of `children` has waited at a queue and has not run, as far as was seen; zero if one has.
    pub(super) fn time(&mut self, children: &[Handle]) -> Duration {
        let Some(turns) = turns_of_waiting(children) else {
            self.since = None;
            return Duration::ZERO;
        };
        match &self.since {
            Some((since, seen)) if *seen == turns => since.elapsed(),
            _ => {
                self.since = Some((Instant::now(), turns));
                Duration::ZERO
            }
        }
    }
}

/// How often each child and its descendants have run; `None` if one of the children waits for something other than a
/// queue, or the kernel does not tell.
fn turns_of_waiting(children: &[Handle]) -> Option<Vec<u64>> {
    let (mut all, peers) = (Vec::new(), inherit::peers());
    for child in children {
        if !waits_at_queue(child.pid(), &peers) {
            return None;
        }
        for pid in with_descendants(child.pid()) {
            all.push(turns(pid)?);
        }
    }
    Some(all)
}

/// Whether a thread of this child waits for a message, or for room in a queue of which this process has the other end.
fn waits_at_queue(child: Pid, peers: &BTreeSet<u64>) -> bool {
    polled_without_timeout(child).iter().any(|polled| match polled {
        // Receivers wait for an eventfd of their own first.
        Target::Anonymous(kind) => kind == "eventfd",
        Target::Socket(inode) => peers.contains(inode),
        _ => false,
    })
}
