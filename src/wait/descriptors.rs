//! Descriptors to wait for.

use super::{WaitAnyError, Waitable, Wakers};
use crate::sys::poll::Interest;
use std::fs::File;
use std::io::{PipeReader, Stdin};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::process::{ChildStderr, ChildStdout};

/// Any descriptor, ready when it can be read or has hung up.
///
/// ```
/// use proclab::{Readable, wait_any};
/// use std::io::Write;
///
/// let (reader, mut writer) = std::io::pipe()?;
/// writer.write_all(b"!")?;
/// assert_eq!(wait_any(&[Readable(&reader)], None)?, [0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Readable<F>(pub F);

/// Any descriptor, ready when it can be written to or is broken.
#[derive(Debug, Clone, Copy)]
pub struct Writable<F>(pub F);

impl<F: AsFd> Waitable for Readable<F> {
    fn enroll<'a>(&'a self, wakers: &mut Wakers<'a>) -> Result<bool, WaitAnyError> {
        wakers.mark(self.0.as_fd(), Interest::Read);
        Ok(false)
    }
}

impl<F: AsFd> Waitable for Writable<F> {
    fn enroll<'a>(&'a self, wakers: &mut Wakers<'a>) -> Result<bool, WaitAnyError> {
        wakers.mark(self.0.as_fd(), Interest::Write);
        Ok(false)
    }
}

macro_rules! ready_when_readable {
    ($($type:ty),+) => {$(
        impl Waitable for $type {
            fn enroll<'a>(&'a self, wakers: &mut Wakers<'a>) -> Result<bool, WaitAnyError> {
                wakers.mark(self.as_fd(), Interest::Read);
                Ok(false)
            }
        }
    )+};
}

ready_when_readable!(
    OwnedFd,
    BorrowedFd<'_>,
    File,
    Stdin,
    PipeReader,
    ChildStdout,
    ChildStderr,
    TcpListener,
    TcpStream,
    UdpSocket,
    UnixListener,
    UnixStream,
    UnixDatagram,
    crate::wire::handle::Fd
);
