//! A child that is traced from its first instruction.
//!
//! It is no member of a family: its tracer, which must be the one thread of its process, is told of its
//! end by the stops that it waits for, and reaps it there.
//!
//! # Safety
//! A fork is sound only where no other thread holds a lock: the engine that traces has no other thread.
#![expect(unsafe_code, reason = "process creation")]

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
