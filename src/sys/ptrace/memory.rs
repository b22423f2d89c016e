//! `process_vm_readv(2)` and `process_vm_writev(2)`: reads and writes of another process's memory, each bounded.

use crate::sys::pid::Pid;
use std::io::{self, IoSlice, IoSliceMut};

use nix::sys::uio::{RemoteIoVec, process_vm_readv, process_vm_writev};

/// Reads up to `length` bytes; fewer if the mapped memory ends.
///
/// # Errors
/// `EFAULT` when nothing is mapped at `address`, `ESRCH`, `EPERM`.
pub fn read(pid: Pid, address: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let remote = [RemoteIoVec { base: address as usize, len: length }];
    let count = process_vm_readv(pid.as_nix(), &mut [IoSliceMut::new(&mut bytes)], &remote)?;
    bytes.truncate(count);
    Ok(bytes)
}

/// Reads exactly `N` bytes.
///
/// # Errors
/// `EFAULT` when fewer are mapped.
pub fn array<const N: usize>(pid: Pid, address: u64) -> io::Result<[u8; N]> {
    let bytes = read(pid, address, N)?;
    bytes.try_into().map_err(|_| nix::errno::Errno::EFAULT.into())
}

/// Reads a four-byte word of a stopped task, even if the task itself may not read it.
///
/// # Errors
/// As [`read`].
pub fn protected_word(pid: Pid, address: u64) -> io::Result<u32> {
    let word = nix::sys::ptrace::read(pid.as_nix(), (address / 8 * 8) as *mut _)?;
    let bytes = word.to_ne_bytes();
    let at = (address % 8) as usize;
    let word = bytes.get(at..at + 4).and_then(|word| word.try_into().ok()).map(u32::from_ne_bytes);
    word.ok_or_else(|| nix::errno::Errno::EINVAL.into())
}

/// Reads an aligned word of eight bytes of a stopped task, even if the task itself may not read it.
///
/// # Errors
/// As [`read`].
pub fn protected_pointer(pid: Pid, address: u64) -> io::Result<u64> {
    let word = nix::sys::ptrace::read(pid.as_nix(), address as *mut _)?;
    Ok(word.cast_unsigned())
}

/// Replaces the two bytes `old` of a stopped task by `new`, even where it may not write itself.
///
/// # Errors
/// `EINVAL` when something else is there; as [`read`].
pub fn replace(pid: Pid, address: u64, old: [u8; 2], new: [u8; 2]) -> io::Result<()> {
    let mut word = nix::sys::ptrace::read(pid.as_nix(), address as *mut _)?.to_ne_bytes();
    if !word.starts_with(&old) {
        return Err(nix::errno::Errno::EINVAL.into());
    }
    word[..2].copy_from_slice(&new);
    nix::sys::ptrace::write(pid.as_nix(), address as *mut _, i64::from_ne_bytes(word))?;
    Ok(())
}

/// Reads a NUL-terminated string of at most `most` bytes. No piece that it reads crosses a page boundary, because the
/// next page may not be mapped.
///
/// # Errors
/// As [`read`]; `ENAMETOOLONG`.
pub fn string(pid: Pid, address: u64, most: usize) -> io::Result<Vec<u8>> {
    const PIECE: u64 = 256;
    let mut string = Vec::new();
    let mut at = address;
    while string.len() < most {
        let piece = read(pid, at, (PIECE - at % PIECE) as usize)?;
        if let Some(end) = piece.iter().position(|byte| *byte == 0) {
            string.extend(&piece[..end]);
            return Ok(string);
        }
        at += piece.len() as u64;
        string.extend(piece);
    }
    Err(nix::errno::Errno::ENAMETOOLONG.into())
}

/// Writes all of `bytes`.
///
/// # Errors
/// As [`read`]; read-only memory cannot be written this way.
pub fn write(pid: Pid, address: u64, bytes: &[u8]) -> io::Result<()> {
    let remote = [RemoteIoVec { base: address as usize, len: bytes.len() }];
    let count = process_vm_writev(pid.as_nix(), &[IoSlice::new(bytes)], &remote)?;
    if count == bytes.len() { Ok(()) } else { Err(nix::errno::Errno::EFAULT.into()) }
}
