//! `futex(2)`: sleeping while a word in shared memory has an expected value.
//!
//! # Safety
//! Every word is a live `&AtomicU32`, which the kernel only compares. The calls are not `PRIVATE`, so that they work
//! between processes that map the word's page.
#![expect(unsafe_code, reason = "raw system calls that nix does not wrap")]

use super::clock::monotonic_ns;
use nix::libc;
use std::io;
use std::sync::OnceLock;
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

/// A word and the value that it is expected to have, for [`wait_any`].
///
/// It holds the address of the word, not a reference: the kernel reads it, and refuses an address that is not mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    address: usize,
    value: u32,
}

impl Expected {
    /// `word` is expected to be `value`.
    pub fn new(word: &AtomicU32, value: u32) -> Self {
        Expected { address: word.as_ptr().addr(), value }
    }
}

/// The maximum number of words of one wait (`FUTEX_WAITV_MAX` of the kernel).
const MOST_WORDS: usize = 128;
/// Flag: a word of 32 bits, of memory that processes share (`FUTEX2_SIZE_U32`).
const SIZE_U32: u32 = 2;

#[repr(C)]
struct WaitV {
    value: u64,
    address: u64,
    flags: u32,
    reserved: u32,
}

/// Sleeps while every word has its expected value, at most for `timeout` (`futex_waitv(2)`, Linux 5.16). May wake
/// spuriously.
///
/// # Errors
/// `ENOSYS` or the error of a sandbox; `EINVAL` for more than 128 words.
pub fn wait_any(words: &[Expected], timeout: Option<Duration>) -> io::Result<()> {
    if words.is_empty() || words.len() > MOST_WORDS {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let of = |word: &Expected| WaitV {
        value: word.value.into(),
        address: word.address as u64,
        flags: SIZE_U32,
        reserved: 0,
    };
    let list: Vec<WaitV> = words.iter().map(of).collect();
    let until = timeout.map(|timeout| {
        let at = Duration::from_nanos(monotonic_ns()).saturating_add(timeout);
        libc::timespec {
            tv_sec: libc::time_t::try_from(at.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_nsec: at.subsec_nanos().into(),
        }
    });
    let until = until.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: the list and the time outlive the call. The kernel only reads the words, and checks their addresses.
    let woken = unsafe {
        libc::syscall(libc::SYS_futex_waitv, list.as_ptr(), list.len(), 0, until, libc::CLOCK_MONOTONIC)
    };
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        _ if woken >= 0 => Ok(()),
        // A word has changed, it is time, or a signal came: the caller looks again in any case.
        Some(libc::EAGAIN | libc::ETIMEDOUT | libc::EINTR) => Ok(()),
        _ => Err(error),
    }
}

/// Whether the kernel has the call of [`wait_any`], and no sandbox refuses it.
pub fn can_wait_any() -> bool {
    static CAN: OnceLock<bool> = OnceLock::new();
    *CAN.get_or_init(|| {
        let none = std::ptr::null::<WaitV>();
        // SAFETY: the kernel refuses an empty list before it reads anything.
        unsafe { libc::syscall(libc::SYS_futex_waitv, none, 0, 0, none, libc::CLOCK_MONOTONIC) };
        io::Error::last_os_error().raw_os_error() == Some(libc::EINVAL)
    })
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
