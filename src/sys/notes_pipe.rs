//! A pipe that a watched program of ours inherits by number, and the number in its environment.
//!
//! # Safety
//! The number becomes an owned descriptor once, in the process that it was meant for, after it was seen to be
//! an open pipe; nothing else in this program knows it.
#![expect(unsafe_code, reason = "a descriptor inherited by number")]

use std::fs::File;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::OnceLock;

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::libc;
use nix::unistd::pipe2;

/// The environment variable with the number.
pub const VARIABLE: &str = "PROCLAB_NOTES_FD";

/// A pipe whose reading end does not block; both ends close on exec until one is given away.
///
/// # Errors
/// `EMFILE` when no descriptor is left.
pub fn pair() -> io::Result<(File, OwnedFd)> {
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC)?;
    fcntl(&reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok((reader.into(), writer))
}

/// The writing end that this program has inherited, if it is watched. Programs that this one runs do not inherit
/// it. Each call gives a descriptor of its own.
pub fn inherited() -> Option<File> {
    static INHERITED: OnceLock<Option<OwnedFd>> = OnceLock::new();
    INHERITED.get_or_init(take).as_ref()?.try_clone().ok().map(File::from)
}

/// The number from the environment as an owned descriptor; called once, for after that it may be another file's.
fn take() -> Option<OwnedFd> {
    let fd: RawFd = std::env::var(VARIABLE).ok()?.parse().ok().filter(|fd| *fd > 2)?;
    // SAFETY: fstat on any number is harmless; all-zero bytes are a valid stat.
    let is_pipe = unsafe {
        let mut stat: libc::stat = std::mem::zeroed();
        libc::fstat(fd, &raw mut stat) == 0 && stat.st_mode & libc::S_IFMT == libc::S_IFIFO
    };
    if !is_pipe {
        return None;
    }
    // SAFETY: open, as just seen, and named by the watcher for this purpose alone.
    let pipe = unsafe { OwnedFd::from_raw_fd(fd) };
    fcntl(&pipe, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).ok()?;
    Some(pipe)
}
