//! `fcntl(2)` record locks, which belong to a process and are released when it closes *any* descriptor of the file.

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use std::io;
use std::os::fd::AsFd;

/// Locks the whole file for writing if it is not locked, and returns whether it did.
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

/// Locks the whole file for writing, blocking until it can.
///
/// # Errors
/// `EDEADLK` when the holder waits, directly or indirectly, for a lock of this process.
pub fn lock(file: impl AsFd) -> io::Result<()> {
    loop {
        match fcntl(&file, FcntlArg::F_SETLKW(&whole_file(libc::F_WRLCK))) {
            Err(Errno::EINTR) => {}
            result => return Ok(result.map(drop)?),
        }
    }
}

/// Releases the lock, if it is held.
///
/// # Errors
/// `EBADF`, which the type system prevents.
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
