//! One TCP connection with time limits: no read or write waits forever, and no slow peer stays forever.

use crate::net::event::{Log, What};
use crate::net::limits::Limits;
use crate::net::text::TextError;
use crate::sys::poll::{Deadline, readable};
use crate::wire::frame::FrameError;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A connection failed. Other connections are not affected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// No byte moved for the idle time.
    #[error("no byte moved for {0:?}, the maximum idle time")]
    Idle(Duration),
    /// The connection exceeded its maximum duration.
    #[error("still open after {0:?}, the maximum duration of a connection")]
    Total(Duration),
    /// The peer closed the connection abruptly, or no longer reads.
    #[error("the other end reset the connection")]
    Reset,
    /// The stream ended too early.
    #[error("the other end closed after {got} of {want} bytes of {what}")]
    Cut {
        /// What was being received.
        what: &'static str,
        /// Bytes received.
        got: u64,
        /// Bytes expected.
        want: u64,
    },
    /// The frames are malformed.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The text is malformed.
    #[error(transparent)]
    Text(#[from] TextError),
    /// The program rejected what the peer sent, or the peer rejected what the program sent.
    #[error("{0}")]
    Refused(String),
    /// A system call failed.
    #[error("{doing}")]
    Io {
        /// What failed.
        doing: &'static str,
        /// The kernel's error.
        #[source]
        source: io::Error,
    },
}

impl ConnectionError {
    /// Wraps the error of a thread that could not be started.
    pub(crate) fn no_thread(source: io::Error) -> Self {
        Self::Io { doing: "no thread can be started", source }
    }

    /// Wraps the kernel's error when an operation other than a send or a receive failed.
    pub(crate) fn io(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, source }
    }
}

/// A connection with a maximum idle time, a maximum duration, and a log. All methods take `&self`: one thread may read
/// while another writes.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    peer: SocketAddr,
    log: Log,
    opened: Instant,
    idle: Duration,
    total: Duration,
    armed_read: AtomicU64,
    armed_write: AtomicU64,
    end: Mutex<End>,
}

/// Whether a connection was cut, and how to wake threads that wait for something other than the socket.
#[derive(Default)]
struct End {
    is_cut: bool,
    wake: Option<Box<dyn Fn() + Send>>,
}

impl std::fmt::Debug for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("End").field("is_cut", &self.is_cut).finish_non_exhaustive()
    }
}

impl Connection {
    /// Takes over a connected stream.
    ///
    /// # Errors
    /// If the stream is no longer connected.
    pub fn new(stream: TcpStream, limits: &Limits, log: &Log) -> Result<Self, ConnectionError> {
        let peer = stream.peer_addr().map_err(|_| ConnectionError::Reset)?;
        Ok(Self {
            stream,
            peer,
            log: log.clone(),
            opened: Instant::now(),
            idle: limits.idle,
            total: limits.total,
            armed_read: AtomicU64::new(0),
            armed_write: AtomicU64::new(0),
            end: Mutex::default(),
        })
    }

    /// The address of the other end.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// The stream itself, for socket options and functions that take a descriptor.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Returns the stream.
    pub(crate) fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// Logs that `what` happened on this connection.
    pub fn tell(&self, what: What) {
        self.log.tell(Some(self.peer), what);
    }

    /// Logs a remark on this connection.
    pub(crate) fn note(&self, note: impl Into<crate::said::Said>) {
        self.log.note(Some(self.peer), note);
    }

    /// Reads the bytes that have arrived, waiting for the first one; 0 means the end of the stream.
    ///
    /// # Errors
    /// If nothing arrives in time, or the connection breaks.
    pub fn read(&self, buffer: &mut [u8]) -> Result<usize, ConnectionError> {
        loop {
            self.arm(&self.armed_read, TcpStream::set_read_timeout)?;
            match (&self.stream).read(buffer) {
                Ok(n) => {
                    self.log.received(self.peer, &buffer[..n]);
                    return Ok(n);
                }
                Err(error) => self.judge(error, "receiving failed")?,
            }
        }
    }

    /// Waits until something can be read, without reading it; `false` at the end of the stream.
    ///
    /// # Errors
    /// Those of [`read`](Self::read).
    pub fn wait_for_bytes(&self) -> Result<bool, ConnectionError> {
        loop {
            self.arm(&self.armed_read, TcpStream::set_read_timeout)?;
            match self.stream.peek(&mut [0]) {
                Ok(n) => return Ok(n > 0),
                Err(error) => self.judge(error, "receiving failed")?,
            }
        }
    }

    /// Like [`read`](Self::read), but returns `None` after `timeout`.
    ///
    /// # Errors
    /// Those of [`read`](Self::read).
    pub fn read_timeout(
        &self,
        buffer: &mut [u8],
        timeout: Duration,
    ) -> Result<Option<usize>, ConnectionError> {
        let ready = readable(&[self.stream.as_fd()], Deadline::after(timeout))
            .map_err(ConnectionError::io("waiting for the socket failed"))?;
        if ready[0] { self.read(buffer).map(Some) } else { Ok(None) }
    }

    /// Fills `buffer`; `what` names its contents in an error.
    ///
    /// # Errors
    /// Those of [`read`](Self::read), and if the stream ends first.
    pub fn read_exact(&self, buffer: &mut [u8], what: &'static str) -> Result<(), ConnectionError> {
        let mut got = 0;
        while got < buffer.len() {
            match self.read(&mut buffer[got..])? {
                0 => return Err(ConnectionError::Cut { what, got: got as u64, want: buffer.len() as u64 }),
                n => got += n,
            }
        }
        Ok(())
    }

    /// Writes all of `bytes`.
    ///
    /// # Errors
    /// If the peer reads nothing for the idle time, or the connection breaks.
    pub fn write_all(&self, mut bytes: &[u8]) -> Result<(), ConnectionError> {
        while !bytes.is_empty() {
            self.arm(&self.armed_write, TcpStream::set_write_timeout)?;
            let at = self.log.before_send();
            match (&self.stream).write(bytes) {
                Ok(n) => {
                    self.log.sent(at, self.peer, &bytes[..n]);
                    bytes = &bytes[n..];
                }
                Err(error) => self.judge(error, "sending failed")?,
            }
        }
        Ok(())
    }

    /// Ends the sending direction; bytes from the other end can still be received.
    pub fn finish_sending(&self) {
        // Fails only on a broken connection, which the next read reports in more detail.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Ends both directions at once, and wakes every thread and process that reads or writes.
    pub fn cut(&self) {
        let _ = self.stream.shutdown(Shutdown::Both);
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        end.is_cut = true;
        end.wake.iter().for_each(|wake| wake());
    }

    /// Whether [`cut`](Self::cut) was called.
    pub fn is_cut(&self) -> bool {
        self.end.lock().unwrap_or_else(PoisonError::into_inner).is_cut
    }

    /// Calls `wake` when the connection is cut, or immediately if it already was: for a thread that waits for something
    /// other than the socket. `wake` must neither block nor cut the connection itself.
    pub fn on_cut(&self, wake: impl Fn() + Send + 'static) {
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        if end.is_cut {
            wake();
        }
        end.wake = Some(Box::new(wake));
    }

    /// Sets the socket's timeout to the smaller of the idle time and the time left until the maximum duration. The
    /// system call is made only when the value changes, near the end of the connection.
    fn arm(
        &self,
        armed: &AtomicU64,
        set: fn(&TcpStream, Option<Duration>) -> io::Result<()>,
    ) -> Result<(), ConnectionError> {
        let left = self.total.saturating_sub(self.opened.elapsed());
        if left.is_zero() {
            return Err(ConnectionError::Total(self.total));
        }
        let timeout = left.min(self.idle).max(Duration::from_millis(1));
        let nanos = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
        if armed.swap(nanos, Ordering::Relaxed) != nanos {
            set(&self.stream, Some(timeout))
                .map_err(ConnectionError::io("cannot set the socket's timeout"))?;
        }
        Ok(())
    }

    /// `Ok` if the call must be repeated.
    fn judge(&self, error: io::Error, doing: &'static str) -> Result<(), ConnectionError> {
        match error.kind() {
            ErrorKind::Interrupted => Ok(()),
            ErrorKind::WouldBlock | ErrorKind::TimedOut if self.opened.elapsed() >= self.total => {
                Err(ConnectionError::Total(self.total))
            }
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Err(ConnectionError::Idle(self.idle)),
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::NotConnected => {
                Err(ConnectionError::Reset)
            }
            _ => Err(ConnectionError::Io { doing, source: error }),
        }
    }
}
