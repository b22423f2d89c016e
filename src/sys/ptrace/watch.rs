//! The debug registers of x86-64, by which a task stops after it has accessed one of a few words of its memory.

use std::io;

use nix::errno::Errno;

use crate::sys::pid::Pid;

/// A piece of memory that is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watched {
    /// Its address, a multiple of its length.
    pub address: u64,
    /// 1, 2, 4 or 8 bytes.
    pub length: u64,
    /// Whether the task also stops after it has read it.
    pub reads: bool,
}

impl Watched {
    /// Whether each access at which `other` stops the task is also an access at which this does.
    pub fn covers(&self, other: &Self) -> bool {
        self.address <= other.address
            && other.address + other.length <= self.address + self.length
            && (self.reads || !other.reads)
    }
}

/// How many words can be watched.
pub const MOST: usize = 4;

/// Watches these words, and no others, in a stopped task. The task stops by `SIGTRAP` after an instruction that has
/// accessed one of them; what the kernel does for the task is not seen.
///
/// # Errors
/// `ENOSPC` for more words than [`MOST`] or where the registers are taken, `ENOSYS` on other architectures.
#[cfg(target_arch = "x86_64")]
pub fn set(tid: Pid, words: &[Watched]) -> io::Result<()> {
    if words.len() > MOST {
        return Err(Errno::ENOSPC.into());
    }
    write(tid, CONTROL, 0)?;
    let mut control = 0;
    for (at, word) in words.iter().enumerate() {
        write(tid, at, word.address)?;
        // Enabled for this task; its length; written, or read or written.
        let length: u64 = match word.length {
            1 => 0b0000,
            2 => 0b0100,
            4 => 0b1100,
            _ => 0b1000,
        };
        let kind = length | if word.reads { 0b11 } else { 0b01 };
        control |= 1 << (2 * at) | kind << (16 + 4 * at);
    }
    if control != 0 {
        write(tid, CONTROL, control)?;
    }
    Ok(())
}

/// Whether a stopped task has accessed a watched word since this was last asked.
///
/// # Errors
/// `ESRCH` when the task is not stopped.
#[cfg(target_arch = "x86_64")]
pub fn was_accessed(tid: Pid) -> io::Result<bool> {
    let status = nix::sys::ptrace::read_user(tid.as_nix(), offset(STATUS))?;
    let is_hit = status & 0b1111 != 0;
    if is_hit {
        write(tid, STATUS, 0)?;
    }
    Ok(is_hit)
}

/// The register that tells which word was accessed.
#[cfg(target_arch = "x86_64")]
const STATUS: usize = 6;
/// The register that enables the others.
#[cfg(target_arch = "x86_64")]
const CONTROL: usize = 7;

#[cfg(target_arch = "x86_64")]
fn offset(register: usize) -> nix::sys::ptrace::AddressType {
    (std::mem::offset_of!(nix::libc::user, u_debugreg) + 8 * register) as _
}

#[cfg(target_arch = "x86_64")]
fn write(tid: Pid, register: usize, value: u64) -> io::Result<()> {
    Ok(nix::sys::ptrace::write_user(tid.as_nix(), offset(register), value.cast_signed())?)
}

/// Not on this architecture.
///
/// # Errors
/// `ENOSYS`, unless there is nothing to watch.
#[cfg(not(target_arch = "x86_64"))]
pub fn set(_: Pid, words: &[Watched]) -> io::Result<()> {
    if words.is_empty() { Ok(()) } else { Err(Errno::ENOSYS.into()) }
}

/// Not on this architecture.
///
/// # Errors
/// None.
#[cfg(not(target_arch = "x86_64"))]
pub fn was_accessed(_: Pid) -> io::Result<bool> {
    Ok(false)
}
