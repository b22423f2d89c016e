//! Descriptors: `dup3(2)`, `SCM_RIGHTS` over a Unix socket (`unix(7)`).
//!
//! # Safety
//! Numbers become owned descriptors only where the kernel has just made them for this process.
#![expect(unsafe_code, reason = "turning descriptor numbers into owned descriptors")]

use nix::cmsg_space;
use nix::libc;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockType, getsockopt, recvmsg, sendmsg, sockopt,
};
use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Makes the number `at`, which must be open, mean what `fd` means; close-on-exec (`dup3(2)`).
///
/// # Errors
/// `EBUSY`, `EINTR` as the manual says.
pub fn replace(at: BorrowedFd<'_>, fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: `at` is open and stays open: its owner keeps it, only what it refers to changes.
    match unsafe { libc::dup3(fd.as_raw_fd(), at.as_raw_fd(), libc::O_CLOEXEC) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Takes standard input away: it is returned as an owned descriptor, and /dev/null is in its place,
/// as Python does for the children of `multiprocessing`.
///
/// # Errors
/// When /dev/null cannot be opened.
pub fn take_stdin() -> io::Result<OwnedFd> {
    // SAFETY: descriptor 0 is open for the whole life of the process: it is only ever replaced.
    let stdin = unsafe { BorrowedFd::borrow_raw(0) };
    let taken = stdin.try_clone_to_owned()?;
    null_stdin()?;
    Ok(taken)
}

/// Puts `fd` in the place of standard input.
///
/// # Errors
/// As `dup2(2)`.
pub fn move_to_stdin(fd: OwnedFd) -> io::Result<()> {
    // SAFETY: dup2 replaces descriptor 0 atomically; nobody owns the number as an `OwnedFd`.
    match unsafe { libc::dup2(fd.as_raw_fd(), 0) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Whether number `fd` of this process and number `other` of process `pid` are one open file: opened once,
/// with one position (`kcmp(2)`). Where the kernel does not tell, whether they are one file at least.
pub fn is_same_file(fd: RawFd, pid: i32, other: RawFd) -> bool {
    const KCMP_FILE: libc::c_int = 0;
    let own = std::process::id().cast_signed();
    // SAFETY: five integers.
    match unsafe { libc::syscall(libc::SYS_kcmp, own, pid, KCMP_FILE, fd, other) } {
        0 => true,
        1..=3 => false,
        _ => {
            use std::os::unix::fs::MetadataExt;
            let id = |path: String| std::fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()));
            id(format!("/proc/self/fd/{fd}")) == id(format!("/proc/{pid}/fd/{other}"))
        }
    }
}

/// Puts /dev/null in the place of standard input.
///
/// # Errors
/// When /dev/null cannot be opened.
pub fn null_stdin() -> io::Result<()> {
    let null = File::open("/dev/null")?;
    // SAFETY: dup2 replaces descriptor 0 atomically; nobody owns the number as an `OwnedFd`.
    match unsafe { libc::dup2(null.as_raw_fd(), 0) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Borrows an open descriptor of which only the number is known; `None` unless it is a packet socket.
pub fn packet_socket(fd: RawFd) -> Option<BorrowedFd<'static>> {
    // SAFETY: fcntl on any number is harmless; it fails with EBADF for one that is not open.
    if fd < 0 || unsafe { libc::fcntl(fd, libc::F_GETFD) } < 0 {
        return None;
    }
    // SAFETY: open, as just seen; the callers tie the borrow to the value that owns the socket.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    (getsockopt(&fd, sockopt::SockType) == Ok(SockType::SeqPacket)).then_some(fd)
}

/// Borrows a descriptor of which only the number is known.
///
/// # Safety
/// Whatever `owner` borrows must keep `fd` open.
pub unsafe fn borrow_from<O: ?Sized>(owner: &O, fd: RawFd) -> BorrowedFd<'_> {
    let _ = owner;
    // SAFETY: passed on to the caller.
    unsafe { BorrowedFd::borrow_raw(fd) }
}

/// Sends a copy of `fd` through `socket`, with one byte.
///
/// # Errors
/// `EPIPE` when the other end is closed, `ETOOMANYREFS` at the limit of descriptors in flight.
pub fn send_descriptor(socket: BorrowedFd<'_>, fd: BorrowedFd<'_>) -> io::Result<()> {
    let rights = [fd.as_raw_fd()];
    let control = [ControlMessage::ScmRights(&rights)];
    sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(&[0])], &control, MsgFlags::MSG_NOSIGNAL, None)?;
    Ok(())
}

/// Takes the descriptor that [`send_descriptor`] left in `socket`, without waiting.
///
/// # Errors
/// `EAGAIN` when none is there; `InvalidData` when what is there is something else.
pub fn receive_descriptor(socket: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let (mut byte, mut space) = ([0_u8; 1], cmsg_space!([RawFd; 1]));
    let mut buffers = [IoSliceMut::new(&mut byte)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC | MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut buffers, Some(&mut space), flags)?;
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(fds) = control
            && let [fd] = fds[..]
        {
            // SAFETY: the kernel has just made this descriptor for us.
            return Ok(unsafe { OwnedFd::from_raw_fd(fd) });
        }
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "no descriptor came with the message"))
}

/// Closes a descriptor that a fork copied and nobody in the copy owns.
///
/// # Safety
/// No value in this process may own or use `fd` from now on.
pub unsafe fn close_copied(fd: RawFd) {
    // SAFETY: passed on to the caller.
    drop(unsafe { OwnedFd::from_raw_fd(fd) });
}
