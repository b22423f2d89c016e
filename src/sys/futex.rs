//! `futex(2)`: sleep while a word in shared memory keeps a value.
//!
//! # Safety
//! Every word is a live `&AtomicU32`; the kernel only compares it. The calls are not `PRIVATE`, so that
//! processes find each other through the page that the word lies on.
#![expect(unsafe_code, reason = "raw system calls that nix does not wrap")]

use nix::libc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

/// Sleeps while `word` holds `expected`, at most for `timeout`. Wakes also for no reason at all.
pub fn wait(word: &AtomicU32, expected: u32, timeout: Duration) {
    let timeout = libc::timespec {
        tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    };
    // SAFETY: the word and the timeout outlive the call. Its result is not needed: whatever it was,
    // the caller looks at the word again.
    unsafe {
        libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, expected, &raw const timeout);
    }
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
