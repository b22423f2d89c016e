//! `fcntl(2)` record locks: one owner a process, dropped when it closes *any* descriptor of the file.

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use std::io;
use std::os::fd::AsFd;

/// Locks the whole file for writing if it is free; whether it was.
///
/// # Errors
/// `ENOLCK` when the system has no more locks.
pub fn try_lock(file: impl AsFd) -> io::Result<bool> {
    match fcntl(file, FcntlArg::F_SETLK(&whole_file(libc::F_WRLCK))) {
        Ok(_) => Ok(true),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Locks the whole file for writing, and waits until it is free.
///
/// # Errors
/// `EDEADLK` when the holder waits, directly or not, for a lock of this process.
pub fn lock(file: impl AsFd) -> io::Result<()> {
    loop {
        match fcntl(&file, FcntlArg::F_SETLKW(&whole_file(libc::F_WRLCK))) {
            Err(Errno::EINTR) => {}
            result => return Ok(result.map(drop)?),
        }
    }
}

/// Gives the lock back, held or not.
///
/// # Errors
/// `EBADF`; the compiler prevents it.
pub fn unlock(file: impl AsFd) -> io::Result<()> {
    fcntl(file, FcntlArg::F_SETLK(&whole_file(libc::F_UNLCK))).map(drop)?;
    Ok(())
}

fn whole_file(kind: libc::c_int) -> libc::flock {
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}
