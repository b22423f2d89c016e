//! A channel between two processes over which values or bytes go both ways: Python's `Pipe`.
//!
//! ```
//! let (parent, child) = proclab::pipe::duplex::<String, usize>()?;
//! parent.send("火锅".to_owned())?;
//! child.send(child.recv()?.chars().count())?;
//! assert_eq!(parent.recv()?, 2);
//! drop(child);
//! assert!(parent.recv().is_err()); // the other end is gone
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A [`queue`](crate::queue) is for many senders and receivers, and is faster; a pipe is for two, answers included.
//!
//! # A process that is killed
//! A message is in the pipe wholly or not at all, at whatever instruction its sender is killed. What a killed receiver
//! had not received stays in the pipe for another process that has the same end. Once no process has the other end,
//! what it sent can still be received, then each receive says that it is gone.

/// Errors.
mod error;

pub use error::{PipeRecvError, PipeSendError, PipeSendFault};

use crate::sys::poll::{Deadline, Interest, readable, ready_numbers};
use crate::sys::socket_pair::packet_pair;
use crate::wait::{WaitAnyError, Waitable, Wakers};
use crate::wire::attachments;
use crate::wire::codec::{self, Message};
use crate::wire::handle::Fd;
use crate::wire::inherit::Registered;
use crate::wire::message::{self, Packed};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// One end of a pipe: it sends values of `S`, and receives values of `R`.
///
/// It can be an argument or a result, part of one, and part of a message. Any number of threads may use it.
pub struct Pipe<S, R = S> {
    /// A forked child closes the end unless it was given it. Dropped before the socket.
    registered: Registered,
    socket: OwnedFd,
    values: PhantomData<fn(S) -> R>,
}

/// In the place of the values of a direction that a pipe does not have: there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Never {}

/// The end of a pipe that only sends.
pub type PipeSender<T> = Pipe<T, Never>;
/// The end of a pipe that only receives.
pub type PipeReceiver<T> = Pipe<Never, T>;

/// A pipe that goes both ways, by its two ends.
///
/// ```
/// let (parent, child) = proclab::pipe::duplex::<u32, String>()?;
/// parent.send(7)?;
/// child.send(child.recv()?.to_string())?;
/// assert_eq!(parent.recv()?, "7");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// At the limit of open files.
pub fn duplex<A, B>() -> io::Result<(Pipe<A, B>, Pipe<B, A>)> {
    let (one, other) = packet_pair()?;
    Ok((Pipe::new(one), Pipe::new(other)))
}

/// A pipe that goes one way: Python's `Pipe(duplex=False)`.
///
/// ```
/// let (sender, receiver) = proclab::pipe::simplex::<u32>()?;
/// sender.send(7)?;
/// assert_eq!(receiver.recv()?, 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// At the limit of open files.
pub fn simplex<T>() -> io::Result<(PipeSender<T>, PipeReceiver<T>)> {
    duplex()
}

impl<S, R> Pipe<S, R> {
    fn new(socket: OwnedFd) -> Self {
        Pipe { registered: Registered::new(socket.as_fd()), socket, values: PhantomData }
    }

    /// Another handle of the same end.
    ///
    /// ```
    /// let (sender, receiver) = proclab::pipe::simplex()?;
    /// let same = sender.try_clone()?;
    /// same.send(7)?;
    /// assert_eq!(receiver.recv()?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// At the limit of open files.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self::new(self.socket.try_clone()?))
    }

    /// Waits until a message is there or the other end is gone, for up to `timeout`; false if neither came:
    /// Python's `poll`.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let (_sender, receiver) = proclab::pipe::simplex::<u8>()?;
    /// assert!(!receiver.poll(Duration::ZERO)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As `ppoll(2)`.
    pub fn poll(&self, timeout: Duration) -> io::Result<bool> {
        Ok(readable(&[self.as_fd()], Deadline::after(timeout))?[0])
    }
}

impl<S: Message, R> Pipe<S, R> {
    /// Sends a value, and waits for room as long as it takes. The pipe has room for some 200 KiB; what is longer than
    /// 16 KiB lies beside it.
    ///
    /// ```
    /// let (sender, receiver) = proclab::pipe::simplex()?;
    /// sender.send("soup".to_owned())?;
    /// assert_eq!(receiver.recv()?, "soup");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`PipeSendError`], with the value.
    pub fn send(&self, value: S) -> Result<(), PipeSendError<S>> {
        self.send_until(value, Deadline::NEVER)
    }

    /// Sends a value if there is room.
    ///
    /// ```
    /// let (sender, receiver) = proclab::pipe::simplex()?;
    /// sender.try_send(7)?;
    /// assert_eq!(receiver.recv()?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`PipeSendError`], with the value.
    pub fn try_send(&self, value: S) -> Result<(), PipeSendError<S>> {
        self.send_until(value, Deadline::now())
    }

    /// Sends a value, and waits for room up to `timeout`.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let (sender, receiver) = proclab::pipe::simplex()?;
    /// sender.send_timeout(7, Duration::from_secs(1))?;
    /// assert_eq!(receiver.recv()?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`PipeSendError`], with the value.
    pub fn send_timeout(&self, value: S, timeout: Duration) -> Result<(), PipeSendError<S>> {
        self.send_until(value, Deadline::after(timeout))
    }

    fn send_until(&self, value: S, deadline: Deadline) -> Result<(), PipeSendError<S>> {
        let sent = pack(&value).and_then(|packed| self.send_packed(&packed, deadline));
        sent.map_err(|why| PipeSendError { value, why })
    }

    /// Sends bytes as they are: Python's `send_bytes`. The other end gets them from [`Self::recv_bytes`].
    ///
    /// ```
    /// let (sender, receiver) = proclab::pipe::simplex::<()>()?;
    /// sender.send_bytes(b"bytes")?;
    /// assert_eq!(receiver.recv_bytes()?, b"bytes");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`PipeSendError`], without a value.
    pub fn send_bytes(&self, bytes: &[u8]) -> Result<(), PipeSendError<()>> {
        let packed = Packed::new(bytes, Vec::new()).map_err(PipeSendFault::Os);
        let sent = packed.and_then(|packed| self.send_packed(&packed, Deadline::NEVER));
        sent.map_err(|why| PipeSendError { value: (), why })
    }

    fn send_packed(&self, packed: &Packed, deadline: Deadline) -> Result<(), PipeSendFault> {
        loop {
            match packed.send(self.as_fd()) {
                Ok(()) => return Ok(()),
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock if deadline.is_over() => return Err(PipeSendFault::TimedOut),
                    io::ErrorKind::WouldBlock => {}
                    io::ErrorKind::BrokenPipe
                    | io::ErrorKind::ConnectionReset
                    | io::ErrorKind::NotConnected => return Err(PipeSendFault::Disconnected),
                    _ => return Err(PipeSendFault::Os(error)),
                },
            }
            ready_numbers(&[(self.socket.as_raw_fd(), Interest::Write)], deadline)
                .map_err(PipeSendFault::Os)?;
        }
    }
}

/// The message that a value is.
fn pack<T: Message>(value: &T) -> Result<Packed, PipeSendFault> {
    let mut bytes = Vec::new();
    let Err(error) = codec::encode_into(value, &mut bytes) else {
        return Packed::new(&bytes, Vec::new()).map_err(PipeSendFault::Os);
    };
    if !attachments::take_missed() {
        return Err(error.into());
    }
    let (encoded, handles, refused) = attachments::collect(|| codec::encode_untried(value, &mut bytes));
    match (encoded, refused) {
        (Err(_), Some(refused)) => Err(PipeSendFault::Os(refused)),
        (Err(error), None) => Err(error.into()),
        (Ok(_), _) => Packed::new(&bytes, handles).map_err(PipeSendFault::Os),
    }
}

impl<S, R: DeserializeOwned> Pipe<S, R> {
    /// Receives a value, and waits for one as long as it takes.
    ///
    /// ```
    /// let (sender, receiver) = proclab::pipe::simplex::<u8>()?;
    /// drop(sender);
    /// assert!(receiver.recv().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`PipeRecvError::Disconnected`] if nothing is left and no process has the other end.
    pub fn recv(&self) -> Result<R, PipeRecvError> {
        self.recv_until(Deadline::NEVER).and_then(unpack)
    }

    /// Receives a value if there is one.
    ///
    /// ```
    /// use proclab::pipe::PipeRecvError;
    ///
    /// let (_sender, receiver) = proclab::pipe::simplex::<u8>()?;
    /// assert!(matches!(receiver.try_recv(), Err(PipeRecvError::TimedOut)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`PipeRecvError`].
    pub fn try_recv(&self) -> Result<R, PipeRecvError> {
        self.recv_until(Deadline::now()).and_then(unpack)
    }

    /// Receives a value, and waits for one up to `timeout`; never returns early without one.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let (_sender, receiver) = proclab::pipe::simplex::<u8>()?;
    /// assert!(receiver.recv_timeout(Duration::from_millis(10)).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`PipeRecvError`].
    pub fn recv_timeout(&self, timeout: Duration) -> Result<R, PipeRecvError> {
        self.recv_until(Deadline::after(timeout)).and_then(unpack)
    }

    /// Receives the bytes of a message, whether or not they are a value: Python's `recv_bytes`.
    ///
    /// ```
    /// let (sender, receiver) = proclab::pipe::simplex::<()>()?;
    /// sender.send_bytes(&[1, 2])?;
    /// assert_eq!(receiver.recv_bytes()?, [1, 2]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`PipeRecvError`].
    pub fn recv_bytes(&self) -> Result<Vec<u8>, PipeRecvError> {
        Ok(self.recv_until(Deadline::NEVER)?.bytes)
    }

    /// The values that come, until no process has the other end.
    ///
    /// ```
    /// let (sender, receiver) = proclab::pipe::simplex()?;
    /// sender.send(1)?;
    /// sender.send(2)?;
    /// drop(sender);
    /// assert_eq!(receiver.iter().collect::<Result<Vec<u32>, _>>()?, [1, 2]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = Result<R, PipeRecvError>> + '_ {
        std::iter::from_fn(|| match self.recv() {
            Err(PipeRecvError::Disconnected) => None,
            result => Some(result),
        })
    }

    fn recv_until(&self, deadline: Deadline) -> Result<message::Content, PipeRecvError> {
        loop {
            match message::receive(self.as_fd()) {
                Ok(Some(content)) => return Ok(content),
                Ok(None) => return Err(PipeRecvError::Disconnected),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
            if deadline.is_over() {
                return Err(PipeRecvError::TimedOut);
            }
            readable(&[self.as_fd()], deadline)?;
        }
    }
}

fn unpack<T: DeserializeOwned>(content: message::Content) -> Result<T, PipeRecvError> {
    let message::Content { bytes, descriptors } = content;
    match attachments::lay_out(descriptors, || codec::decode(&bytes)) {
        (Ok(value), _) => Ok(value),
        (Err(_), Some(refused)) => Err(PipeRecvError::Os(refused)),
        (Err(error), None) => Err(error.into()),
    }
}

/// Readable when a message is there or the other end is gone.
impl<S, R> AsFd for Pipe<S, R> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl<S, R> Waitable for Pipe<S, R> {
    fn enroll<'a>(&'a self, wakers: &mut Wakers<'a>) -> Result<bool, WaitAnyError> {
        wakers.mark(self.as_fd(), Interest::Read);
        Ok(false)
    }
}

impl<S, R> Drop for Pipe<S, R> {
    fn drop(&mut self) {
        self.registered.record_drop();
    }
}

impl<S, R> fmt::Debug for Pipe<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipe").finish_non_exhaustive()
    }
}

impl<S, R> Serialize for Pipe<S, R> {
    fn serialize<Z: Serializer>(&self, serializer: Z) -> Result<Z::Ok, Z::Error> {
        let copy = self
            .socket
            .try_clone()
            .map_err(|error| serde::ser::Error::custom(attachments::refusal(error)))?;
        Fd::from(copy).serialize(serializer)
    }
}

impl<'de, S, R> Deserialize<'de> for Pipe<S, R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let socket = Fd::deserialize(deserializer)?.into_owned();
        if !crate::sys::descriptor::is_packet_socket(socket.as_fd()) {
            return Err(de::Error::custom("this is not the end of a pipe"));
        }
        Ok(Self::new(socket))
    }
}

#[cfg(test)]
mod tests;
/// One wait for pipes and all the rest.
#[cfg(test)]
mod wait_tests;
