//! `Fork`: a copy of the parent's memory.
//!
//! # Safety
//! The fork is made only while no other thread exists, or only the idle one that makes children; and
//! the copied descriptors that are closed in the child belong to handles of the parent, whose owner
//! in the copy is never dropped: the child ends inside [`fork`].
#![expect(unsafe_code, reason = "process creation")]

use super::lasting::while_idle;
use super::{Birth, forkserver_settle};
use crate::process::unforked::take_registered;
use crate::sys::descriptor::{close_copied, null_stdin};
use crate::sys::fork::{Forked, fork as sys_fork};
use crate::sys::pid::Pid;
use crate::sys::pidfd;
use crate::wire::inherit::{close_others, drop_given};
use std::collections::BTreeSet;
use std::io::{self, PipeReader, PipeWriter, Read, Write};

/// Why no child was created.
pub(crate) enum ForkError {
    Threads(usize),
    Os(io::Error),
}

/// Makes a copy of this process in which `life` runs; it must not return.
pub(crate) fn fork<N>(life: impl FnOnce() -> N) -> Result<Birth, ForkError> {
    let (gate, opener) = io::pipe().map_err(ForkError::Os)?;
    // Buffered output would be written by both parent and child.
    let _ = (io::stdout().flush(), io::stderr().flush());
    let forked = while_idle(|n_threads| {
        if n_threads > 1 {
            return Err(ForkError::Threads(n_threads));
        }
        // SAFETY: no other thread exists, or only one that is idle and holds no lock.
        unsafe { sys_fork() }.map_err(ForkError::Os)
    });
    match forked.map_err(ForkError::Os)?? {
        Forked::Parent(pid) => open_gate(pid, opener, &drop_given(life)).map_err(ForkError::Os),
        Forked::Child => {
            drop(opener);
            let given = pass_gate(gate);
            // SAFETY: the copy reaches only what is in `life`; the parent's other handles are never dropped.
            unsafe { close_others(&given) };
            forkserver_settle();
            for fd in take_registered() {
                // SAFETY: only handles of the parent own these, and this copy never drops them.
                unsafe { close_copied(fd) };
            }
            let _ = null_stdin();
            life();
            unreachable!("the life of a child ends in `exit`")
        }
    }
}

/// Lets the child begin once a pidfd refers to it: if the kernel reaps children automatically (`SIGCHLD` ignored),
/// the PID of a child that ended earlier could be reused.
fn open_gate(pid: Pid, mut opener: PipeWriter, given: &BTreeSet<u64>) -> io::Result<Birth> {
    let pidfd = pidfd::open(pid)?;
    let given: Vec<u8> = given.iter().flat_map(|id| id.to_le_bytes()).collect();
    // A child that was killed before the gate is found dead when it is waited for.
    let _ = opener.write_all(&[&[1], &given[..]].concat());
    Ok(Birth { pid, pidfd })
}

/// Waits for the parent, and receives which of its queue ends were passed to this child.
fn pass_gate(mut gate: PipeReader) -> BTreeSet<u64> {
    let mut bytes = Vec::new();
    if gate.read_to_end(&mut bytes).is_err() || bytes.is_empty() {
        std::process::exit(1); // the parent is gone
    }
    bytes[1..].as_chunks().0.iter().map(|id| u64::from_le_bytes(*id)).collect()
}
