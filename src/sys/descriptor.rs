//! Descriptors: `dup3(2)`, and `SCM_RIGHTS` over a Unix socket (`unix(7)`).
//!
//! # Safety
//! Numbers become owned descriptors only where the kernel has just created them for this process.
#![expect(unsafe_code, reason = "turning descriptor numbers into owned descriptors")]

use crate::sys::pid::Pid;
use nix::cmsg_space;
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{ControlMessage, MsgFlags, SockType, getsockopt, recv, send, sendmsg, sockopt};
use std::fs::File;
use std::io::{self, IoSlice, Read};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Makes the open descriptor `at` refer to the same open file as `fd`, close-on-exec (`dup3(2)`).
///
/// # Safety
/// The owner of `at` must not rely on the file that it refers to now.
///
/// # Errors
/// `EBUSY`, `EINTR`: see `dup3(2)`.
pub unsafe fn replace(at: BorrowedFd<'_>, fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: `at` is open and stays open: its owner keeps it, only what it refers to changes.
    if unsafe { libc::dup3(fd.as_raw_fd(), at.as_raw_fd(), libc::O_CLOEXEC) } != -1 {
        return Ok(());
    }
    let refused = io::Error::last_os_error();
    // A sandbox may allow only the older call.
    // SAFETY: as above; the flag of a descriptor is an integer.
    let is_done = matches!(Errno::last(), Errno::EPERM | Errno::ENOSYS)
        && unsafe {
            libc::dup2(fd.as_raw_fd(), at.as_raw_fd()) != -1
                && libc::fcntl(at.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) != -1
        };
    if is_done { Ok(()) } else { Err(refused) }
}

/// Detaches standard input: returns it as an owned descriptor and replaces it by `/dev/null`, as Python does
/// for the children of `multiprocessing`.
///
/// # Errors
/// When `/dev/null` cannot be opened.
pub fn take_stdin() -> io::Result<OwnedFd> {
    // SAFETY: descriptor 0 is open for the whole life of the process; it is only ever replaced.
    let stdin = unsafe { BorrowedFd::borrow_raw(0) };
    let taken = stdin.try_clone_to_owned()?;
    null_stdin()?;
    Ok(taken)
}

/// Creates a pipe whose reading end does not block, for reading after `ppoll(2)` has reported it ready. Both ends are
/// close-on-exec.
///
/// # Errors
/// `EMFILE` when no descriptor is left.
pub fn pipe_to_poll() -> io::Result<(std::fs::File, OwnedFd)> {
    let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
    nix::fcntl::fcntl(&reader, nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK))?;
    Ok((reader.into(), writer))
}

/// Moves what a pipe of [`pipe_to_poll`] holds to the end of `kept`, until that is longer than `most`. At the pipe's end it
/// becomes `None`.
///
/// # Errors
/// As `read(2)`, except `EAGAIN` and `EINTR`.
pub fn drain(pipe: &mut Option<File>, kept: &mut Vec<u8>, most: usize) -> io::Result<()> {
    let mut bytes = [0; 16 << 10];
    while kept.len() <= most
        && let Some(file) = pipe
    {
        match file.read(&mut bytes) {
            Ok(0) => *pipe = None,
            Ok(n) => kept.extend(&bytes[..n]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Whether descriptor `fd` of this process and descriptor `other` of process `pid` refer to the same open file
/// description (`kcmp(2)`). If the kernel refuses the call, whether they refer to the same file at least.
pub fn is_same_file(fd: RawFd, pid: Pid, other: RawFd) -> bool {
    const KCMP_FILE: libc::c_int = 0;
    let own = Pid::this().as_raw();
    // SAFETY: five integers.
    match unsafe { libc::syscall(libc::SYS_kcmp, own, pid.as_raw(), KCMP_FILE, fd, other) } {
        0 => true,
        1..=3 => false,
        _ => {
            use std::os::unix::fs::MetadataExt;
            let id = |path: String| std::fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()));
            id(format!("/proc/self/fd/{fd}")) == id(format!("/proc/{pid}/fd/{other}"))
        }
    }
}

/// Replaces standard input by `/dev/null`.
///
/// # Errors
/// When `/dev/null` cannot be opened.
pub fn null_stdin() -> io::Result<()> {
    let null = File::open("/dev/null")?;
    // SAFETY: dup2 replaces descriptor 0 atomically; nothing owns the number as an `OwnedFd`.
    match unsafe { libc::dup2(null.as_raw_fd(), 0) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Has number 0, 1 or 2 refer to what `fd` refers to, and an exec keep it (`dup2(2)`).
///
/// # Errors
/// As `dup2(2)`.
///
/// # Panics
/// For another number: nothing may own that.
pub fn replace_standard(number: RawFd, fd: BorrowedFd<'_>) -> io::Result<()> {
    assert!((0..=2).contains(&number), "{number} is not a standard stream");
    // SAFETY: the standard streams are open for the whole life of the process, nothing owns their numbers as an
    // `OwnedFd`, and dup2 replaces one atomically. `fd` is another number, so close-on-exec is not kept.
    match unsafe { libc::dup2(fd.as_raw_fd(), number) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Opens `number` as a duplicate of `fd` that an exec keeps and that no value owns.
///
/// # Errors
/// `EBUSY` when the number is in use, `EBADF` above the limit of open files.
pub fn duplicate_at(number: RawFd, fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: integers. The number is not in use when it is asked for, and the duplicate takes the lowest free
    // number from there on, never one that is in use.
    let made = unsafe {
        if libc::fcntl(number, libc::F_GETFD) != -1 {
            return Err(Errno::EBUSY.into());
        }
        libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD, number)
    };
    match made {
        -1 => Err(io::Error::last_os_error()),
        made if made == number => Ok(()),
        made => {
            // Another thread was faster.
            // SAFETY: the kernel has just made this descriptor for us.
            drop(unsafe { OwnedFd::from_raw_fd(made) });
            Err(Errno::EBUSY.into())
        }
    }
}

/// Holds every free number up to `last`, so that what is opened meanwhile gets a higher one.
///
/// # Errors
/// `EMFILE` when there are not as many.
pub fn hold_numbers_up_to(last: RawFd) -> io::Result<Vec<OwnedFd>> {
    let null = OwnedFd::from(File::open("/dev/null")?);
    let mut held = Vec::new();
    loop {
        let next = null.try_clone()?;
        if next.as_raw_fd() > last {
            held.extend((null.as_raw_fd() <= last).then_some(null));
            return Ok(held);
        }
        held.push(next);
    }
}

/// Whether `fd` is a socket that preserves message boundaries (`SOCK_SEQPACKET`).
pub fn is_packet_socket(fd: BorrowedFd<'_>) -> bool {
    getsockopt(&fd, sockopt::SockType) == Ok(SockType::SeqPacket)
}

/// Sends one byte through a socket, without blocking.
///
/// # Errors
/// `EPIPE` when the other end is closed, `EAGAIN` when there is no room.
pub fn send_byte(socket: BorrowedFd<'_>, byte: u8) -> io::Result<()> {
    let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
    send(socket.as_raw_fd(), &[byte], flags)?;
    Ok(())
}

/// Receives one byte from a socket, without blocking.
///
/// # Errors
/// `EAGAIN` when there is none; `UnexpectedEof` when the other end is closed.
pub fn take_byte(socket: BorrowedFd<'_>) -> io::Result<u8> {
    let mut byte = [0];
    match recv(socket.as_raw_fd(), &mut byte, MsgFlags::MSG_DONTWAIT)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(byte[0]),
    }
}

/// What a socket holds next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peeked {
    /// Nothing yet.
    Nothing,
    /// The end of the stream: no process has the sending end open.
    End,
    /// A message, whose descriptors are within this process's limit.
    Message,
}

/// The maximum number of descriptors in one message (`SCM_MAX_FD` of the kernel).
const MOST_IN_A_MESSAGE: usize = 253;

/// Peeks at the next message of a packet socket.
///
/// # Errors
/// `EMFILE` when the message carries more descriptors than this process may open: receiving it would lose them.
pub fn peek(socket: BorrowedFd<'_>) -> io::Result<Peeked> {
    let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
    match receive_some(socket, &mut [0; 1], flags) {
        Ok((0, _)) => Ok(Peeked::End),
        Ok(_) => Ok(Peeked::Message),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Peeked::Nothing),
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(Peeked::End),
        Err(error) => Err(error),
    }
}

/// Sends bytes and copies of up to 253 descriptors as one message, without blocking.
///
/// # Errors
/// `EPIPE` when the other end is closed, `EAGAIN` when there is no room, `EMSGSIZE` when the message never fits,
/// `ETOOMANYREFS` when more descriptors are in flight than this process may open.
pub fn send_message(socket: BorrowedFd<'_>, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let rights: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    let control = [ControlMessage::ScmRights(&rights)];
    let control = if rights.is_empty() { &[][..] } else { &control[..] };
    let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
    loop {
        match sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(bytes)], control, flags, None) {
            Err(Errno::EINTR) => {}
            result => return Ok(result.map(drop)?),
        }
    }
}

/// Receives bytes and all descriptors that came with them, without blocking.
///
/// # Errors
/// `EMFILE` when this process may not open all of the descriptors.
pub fn receive_message(socket: BorrowedFd<'_>, bytes: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    receive_some(socket, bytes, MsgFlags::MSG_DONTWAIT)
}

/// Like [`receive_message`], but the message stays in the socket; the descriptors are copies.
///
/// # Errors
/// As [`receive_message`].
pub fn peek_message(socket: BorrowedFd<'_>, bytes: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    receive_some(socket, bytes, MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT)
}

/// Receives bytes and the descriptors that came with them. Fails unless all of the descriptors are received.
fn receive_some(
    socket: BorrowedFd<'_>,
    bytes: &mut [u8],
    flags: MsgFlags,
) -> io::Result<(usize, Vec<OwnedFd>)> {
    // `nix` does not return the descriptors of a truncated message, which would then stay open.
    let mut space = cmsg_space!([RawFd; MOST_IN_A_MESSAGE]);
    let mut buffer = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    // SAFETY: all-zero bytes are a valid msghdr.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = &raw mut buffer;
    header.msg_iovlen = 1;
    header.msg_control = space.as_mut_ptr().cast();
    header.msg_controllen = space.capacity() as _;
    let n_bytes = loop {
        let flags = (flags | MsgFlags::MSG_CMSG_CLOEXEC).bits();
        // SAFETY: the buffers have the lengths in the header and outlive the call.
        let received = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, flags) };
        match usize::try_from(received) {
            Ok(received) => break received,
            Err(_) if Errno::last() == Errno::EINTR => {}
            Err(_) => return Err(io::Error::last_os_error()),
        }
    };
    let mut descriptors = Vec::new();
    // SAFETY: the header is the one that the kernel has just filled in.
    let mut control = unsafe { libc::CMSG_FIRSTHDR(&raw const header) };
    while !control.is_null() {
        // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR return only complete headers inside the buffer.
        let (head, data) = unsafe { (*control, libc::CMSG_DATA(control).cast::<RawFd>()) };
        if (head.cmsg_level, head.cmsg_type) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
            // SAFETY: computes the length of a header, and accesses no memory.
            let length = head.cmsg_len - unsafe { libc::CMSG_LEN(0) } as usize;
            for at in 0..length / size_of::<RawFd>() {
                // SAFETY: within the data of this header; the kernel has just created the descriptor for us.
                descriptors.push(unsafe { OwnedFd::from_raw_fd(data.add(at).read_unaligned()) });
            }
        }
        // SAFETY: `control` is a header inside the buffer.
        control = unsafe { libc::CMSG_NXTHDR(&raw const header, control) };
    }
    if header.msg_flags & libc::MSG_CTRUNC != 0 {
        return Err(Errno::EMFILE.into());
    }
    Ok((n_bytes, descriptors))
}

/// Sends copies of any number of descriptors through a packet socket, in as few messages as possible,
/// without blocking.
///
/// # Errors
/// `EPIPE` when the other end is closed, `EAGAIN` when its buffer is full (some tens of thousands of
/// descriptors), `ETOOMANYREFS` when more are in flight than this process may open.
pub fn send_descriptors(socket: BorrowedFd<'_>, descriptors: &[OwnedFd]) -> io::Result<()> {
    for some in descriptors.chunks(MOST_IN_A_MESSAGE) {
        let rights: Vec<RawFd> = some.iter().map(AsRawFd::as_raw_fd).collect();
        let control = [ControlMessage::ScmRights(&rights)];
        let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
        sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(&[0])], &control, flags, None)?;
    }
    Ok(())
}

/// Receives `count` descriptors that [`send_descriptors`] sent, without blocking.
///
/// # Errors
/// `EMFILE` when this process may not open as many; `InvalidData` when there are fewer.
pub fn receive_descriptors(socket: BorrowedFd<'_>, count: usize) -> io::Result<Vec<OwnedFd>> {
    let mut all = Vec::new();
    while all.len() < count {
        let (_, some) = receive_some(socket, &mut [0; 1], MsgFlags::MSG_DONTWAIT)?;
        if some.is_empty() {
            let what = format!("{} of {count} descriptors came with the message", all.len());
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        all.extend(some);
    }
    Ok(all)
}

/// Sends a copy of one descriptor through a packet socket, blocking while its buffer is full.
///
/// # Errors
/// `EPIPE` when the other end is closed.
pub fn send_descriptor(socket: BorrowedFd<'_>, descriptor: BorrowedFd<'_>) -> io::Result<()> {
    let rights = [descriptor.as_raw_fd()];
    let control = [ControlMessage::ScmRights(&rights)];
    sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(&[0])], &control, MsgFlags::MSG_NOSIGNAL, None)?;
    Ok(())
}

/// Receives the descriptor that [`send_descriptor`] sent, without blocking.
///
/// # Errors
/// `EAGAIN` when there is none, `EMFILE` when this process may not open another; `InvalidData` at the end of the
/// stream.
pub fn receive_descriptor(socket: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    receive_descriptors(socket, 1)?.pop().ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Closes a descriptor in a forked child that no value in the child owns.
///
/// # Safety
/// No value in this process may own or use `fd` from now on.
pub unsafe fn close_copied(fd: RawFd) {
    // SAFETY: the caller's promise.
    drop(unsafe { OwnedFd::from_raw_fd(fd) });
}
