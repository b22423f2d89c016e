//! A child that is traced from its first instruction.
//!
//! It is no member of a family: its tracer, which must be the one thread of its process, is told of its
//! end by the stops that it waits for, and reaps it there.
//!
//! # Safety
//! A fork is sound only where no other thread holds a lock: the engine that traces has no other thread.
#![expect(unsafe_code, reason = "process creation")]

use std::io::{self, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use crate::sys::fork::Forked;
use crate::sys::ptrace::namespace::{self, Numbers};
use crate::sys::ptrace::start::{Program, StartTracedError, Started, start};
use crate::sys::task::n_threads;

/// Starts the program.
///
/// # Errors
/// [`StartTracedError`]; also where this process has a second thread.
pub(crate) fn start_traced(program: &Program<'_>) -> Result<Started, StartTracedError> {
    if n_threads().is_ok_and(|threads| threads > 1) {
        let why = "only a process with one thread can trace";
        return Err(StartTracedError::Fork(std::io::Error::other(why)));
    }
    // SAFETY: this process has one thread, which is here.
    unsafe { start(program) }
}

/// Does `work` in a copy of this process that is the first one of a namespace of process numbers, and returns
/// its bytes; the folder `root` is empty there, and lies in memory. `None` where the system does not allow that: nothing was done then.
///
/// Whatever `work` has started ends with the copy, and the copy with this process.
///
/// # Errors
/// When the copy ended before it was done, or this process has a second thread.
pub(crate) fn in_namespace(
    root: &Path,
    work: impl FnOnce(Numbers) -> Vec<u8>,
) -> io::Result<Option<Vec<u8>>> {
    if n_threads().is_ok_and(|threads| threads > 1) {
        return Ok(None);
    }
    let (mut reader, mut writer) = io::pipe()?;
    // SAFETY: this process has one thread, which is here.
    match unsafe { namespace::fork_first() } {
        Err(_) => Ok(None),
        Ok(Forked::Child) => {
            drop(reader);
            let Ok(numbers) = namespace::mount_own(root).and_then(|()| Numbers::open()) else {
                let _ = writer.write_all(&[0]);
                namespace::leave();
            };
            // A panic must not go on into what only the original may do.
            if let Ok(bytes) = catch_unwind(AssertUnwindSafe(|| work(numbers))) {
                let _ = writer.write_all(&[1]).and_then(|()| writer.write_all(&bytes));
            }
            namespace::leave();
        }
        Ok(Forked::Parent(pid)) => {
            drop(writer);
            let mut bytes = Vec::new();
            let read = reader.read_to_end(&mut bytes);
            namespace::reap(pid);
            read?;
            match bytes.split_first() {
                Some((0, _)) => Ok(None),
                Some((_, bytes)) => Ok(Some(bytes.to_vec())),
                None => Err(io::Error::other("the engine ended early")),
            }
        }
    }
}
