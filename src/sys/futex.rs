//! `futex(2)`: sleeping while a word in shared memory has an expected value.
//!
//! # Safety
//! Every word is a live `&AtomicU32`, which the kernel only compares. The calls are not `PRIVATE`, so that they work
//! between processes that map the word's page.
#![expect(unsafe_code, reason = "raw system calls that nix does not wrap")]

use nix::libc;
use std::io;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

/// Sleeps while `word` holds `expected`, at most for `timeout`. May wake spuriously.
pub fn wait(word: &AtomicU32, expected: u32, timeout: Duration) {
    let timeout = libc::timespec {
        tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    };
    // SAFETY: the word and the timeout outlive the call. The result is not needed, because the caller checks the
    // word again in any case.
    unsafe {
        libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, expected, &raw const timeout);
    }
}

/// The error with which a sandbox refuses this call, if it does. Then no thread can sleep until another wakes it.
pub fn is_refused() -> Option<io::Error> {
    let word = AtomicU32::new(0);
    // SAFETY: as in `wake_one`; nothing sleeps on a local word.
    let woken = unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, 1) };
    (woken == -1).then(io::Error::last_os_error)
}

/// Wakes one process that sleeps on `word`.
pub fn wake_one(word: &AtomicU32) {
    // SAFETY: the word outlives the call; waking never writes to it.
    unsafe {
        libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, 1);
    }
}

/// Wakes every process that sleeps on `word`.
pub fn wake_all(word: &AtomicU32) {
    // SAFETY: as in `wake_one`.
    unsafe {
        libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, libc::c_int::MAX);
    }
}
