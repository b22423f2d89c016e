//! Work in a copy of this process.
//!
//! # Safety
//! A fork is sound only if no other thread holds a lock, so it is refused while there is another thread.
#![expect(unsafe_code, reason = "process creation")]

use std::io::{self, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::sys::fork::{Forked, fork};
use crate::sys::pid::Pid;
use crate::sys::ptrace::namespace;
use crate::sys::task::{self, n_threads};

/// Does `work` in a copy of this process and returns its bytes; `None` if the copy ended before it was done. The copy ends
/// with this process, but not what it has started.
///
/// # Errors
/// When no process can be created, or this process has a second thread.
pub(crate) fn in_copy(work: impl FnOnce() -> Vec<u8>) -> io::Result<Option<Vec<u8>>> {
    if n_threads().is_ok_and(|threads| threads > 1) {
        return Err(io::Error::other("only a process with one thread can be copied"));
    }
    let (mut reader, mut writer) = io::pipe()?;
    let parent = Pid::this();
    // SAFETY: this process has one thread, which is here.
    match unsafe { fork()? } {
        Forked::Child => {
            drop(reader);
            let dies_too = task::die_with_parent(true).is_ok();
            // The parent may have died before the call.
            if !dies_too || Pid::parent() != parent {
                namespace::leave();
            }
            // A panic must not unwind into code that only the original may run.
            if let Ok(bytes) = catch_unwind(AssertUnwindSafe(work)) {
                let _ = writer.write_all(&[1]).and_then(|()| writer.write_all(&bytes));
            }
            namespace::leave();
        }
        Forked::Parent(pid) => {
            drop(writer);
            let mut bytes = Vec::new();
            let read = reader.read_to_end(&mut bytes);
            namespace::reap(pid);
            read?;
            Ok((!bytes.is_empty()).then(|| bytes.split_off(1)))
        }
    }
}
