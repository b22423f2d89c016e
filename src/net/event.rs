//! Events at an end of a connection, as plain data: the caller prints them, sends them to another process, or checks
//! them.

use crate::said::Said;
use crate::sys::clock::monotonic_ns;
use crate::sys::pid::Pid;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

/// The maximum number of bytes of one send or receive that an event holds, and that are shown.
const KEPT: usize = 128;
const SHOWN: usize = 64;

/// The maximum number shown if they are not text, when each may take four characters.
const AS_BYTES: usize = 32;

/// One event at one end.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Event {
    /// The time in nanoseconds of the monotonic clock, comparable between processes.
    pub at_ns: u64,
    /// The PID of the process in which it happened.
    pub pid: Pid,
    /// The other end, if there is one.
    pub peer: Option<SocketAddr>,
    /// What happened.
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub enum What {
    /// The server now accepts connections (or datagrams) at this address.
    Listening(SocketAddr),
    /// A connection was made.
    Opened,
    /// Bytes were passed to the kernel in one call.
    Sent(Bytes),
    /// Bytes were received in one call; none means the end of the stream.
    Received(Bytes),
    /// A message for the user of this end, a person or a program.
    Message(String),
    /// A remark for people.
    Note(Said),
    /// The progress of a long transfer.
    Progress {
        /// Bytes transferred so far.
        done: u64,
        /// Bytes to transfer in total.
        total: u64,
    },
    /// The connection failed for this reason, in one line. Other connections are not affected.
    Failed(String),
    /// The connection has ended, with or without an error.
    Closed,
}

/// The number of bytes of a call, and the first of them.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Bytes {
    /// The number of all bytes of the call.
    pub length: usize,
    /// The first bytes, at most 128.
    pub head: Vec<u8>,
}

impl Bytes {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self { length: bytes.len(), head: bytes[..bytes.len().min(KEPT)].to_vec() }
    }
}

impl fmt::Display for Bytes {
    /// `5 bytes "hello"`, `12 bytes b"\x08\x00\x00\x00Parallel"`: text without control characters as text, anything else as
    /// Python shows bytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.length == 1 { "" } else { "s" };
        write!(f, "{} byte{plural}", self.length)?;
        let head = &self.head[..self.head.len().min(SHOWN)];
        let more = self.length > head.len();
        // A character cut at the end must not make text appear as bytes.
        let text = match std::str::from_utf8(head) {
            Err(error) if error.error_len().is_none() && more => {
                std::str::from_utf8(&head[..error.valid_up_to()]).ok()
            }
            text => text.ok(),
        };
        match text.filter(|text| !text.chars().any(|c| c.is_control() && c != '\n')) {
            _ if head.is_empty() => Ok(()),
            Some(text) => write!(f, " {text:?}{}", if more { " …" } else { "" }),
            None => {
                let head = &head[..head.len().min(AS_BYTES)];
                let more = if self.length > head.len() { " …" } else { "" };
                write!(f, " b\"{}\"{more}", head.escape_ascii())
            }
        }
    }
}

/// The receiver of the events of one end.
#[derive(Clone)]
pub struct Log {
    sink: Arc<dyn Fn(Event) + Send + Sync>,
    bytes: bool,
}

impl Log {
    /// Passes every event to `sink`, in the thread where it happens, except sends and receives.
    pub fn new(sink: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self { sink: Arc::new(sink), bytes: false }
    }

    /// Like [`new`](Self::new), but includes every send and receive.
    pub fn with_bytes(sink: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self { sink: Arc::new(sink), bytes: true }
    }

    /// Logs an event that happens now in this process.
    pub fn tell(&self, peer: Option<SocketAddr>, what: What) {
        (self.sink)(Event { at_ns: monotonic_ns(), pid: Pid::this(), peer, what });
    }

    /// Logs a remark for people.
    pub fn note(&self, peer: Option<SocketAddr>, note: impl Into<Said>) {
        self.tell(peer, What::Note(note.into()));
    }

    /// Logs an event of another process.
    pub fn forward(&self, event: Event) {
        (self.sink)(event);
    }

    /// The time just before a send, if sends are logged: the other end may have received the bytes before the call that
    /// sends them returns.
    pub(crate) fn before_send(&self) -> u64 {
        if self.bytes { monotonic_ns() } else { 0 }
    }

    pub(crate) fn sent(&self, at_ns: u64, peer: SocketAddr, bytes: &[u8]) {
        if self.bytes {
            let what = What::Sent(Bytes::of(bytes));
            (self.sink)(Event { at_ns, pid: Pid::this(), peer: Some(peer), what });
        }
    }

    pub(crate) fn received(&self, peer: SocketAddr, bytes: &[u8]) {
        if self.bytes {
            self.tell(Some(peer), What::Received(Bytes::of(bytes)));
        }
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_as_what_they_are() {
        assert_eq!(Bytes::of(b"hello").to_string(), "5 bytes \"hello\"");
        assert_eq!(Bytes::of(b"\x08\0\0\0a").to_string(), "5 bytes b\"\\x08\\x00\\x00\\x00a\"");
        assert_eq!(Bytes::of("收到".as_bytes()).to_string(), "6 bytes \"收到\"");
        assert_eq!(Bytes::of(b"").to_string(), "0 bytes");
        let long = "火".repeat(30);
        assert_eq!(Bytes::of(long.as_bytes()).to_string(), format!("90 bytes {:?} …", "火".repeat(21)));
    }
}
