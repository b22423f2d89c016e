//! The TCP server of the programs: limits and logs connections, and shuts down in order.

use crate::net::address::{AddressError, resolve};
use crate::net::connection::{Connection, ConnectionError};
use crate::net::door::{Door, REST, refuse_above_limit};
use crate::net::event::{Log, What};
use crate::net::limits::Limits;
use crate::process::chain;
use crate::sys::poll::{Deadline, readable};
use crate::sys::socket::{lengthen_backlog, set_nonblocking};
use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Scope};
use std::time::{Duration, Instant};

/// The stack size of a handler, which keeps its buffers on the heap. A small stack makes many threads cheap.
const STACK: usize = 256 << 10;

/// How many times in a row `accept` may fail with a permission error. A firewall causes one for a single connection
/// (`accept(2)`), a sandbox for all of them.
const MOST_REFUSED: u32 = 20;

/// How long a connection that is about to end may take.
const ENDING: Duration = Duration::from_millis(50);

/// A server that is bound but not yet serving.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    limits: Limits,
    log: Log,
}

impl Server {
    /// Binds `address`; port 0 takes a free port. A port whose last server has just ended is available immediately
    /// (`SO_REUSEADDR`).
    ///
    /// # Errors
    /// If the address is malformed, belongs to another machine, is in use, or needs privileges.
    pub fn bind(address: &str, limits: Limits, log: &Log) -> Result<Self, AddressError> {
        let bind_error = |source| AddressError::Bind { address: address.to_owned(), source };
        let listener = TcpListener::bind(&resolve(address)?[..]).map_err(bind_error)?;
        lengthen_backlog(&listener).map_err(bind_error)?;
        // The client may leave between the poll that reports it and the accept.
        set_nonblocking(&listener).map_err(bind_error)?;
        let address = listener.local_addr().map_err(bind_error)?;
        Ok(Self { listener, address, limits, log: log.clone() })
    }

    /// The address, with the actual port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The listening socket, for a server with a loop of its own.
    pub fn into_listener(self) -> TcpListener {
        self.listener
    }

    /// Serves each connection with `handle` in a thread of its own, until one of `stops` is readable (or closed by
    /// its other end). Then it accepts no more connections, lets open ones finish for the grace time, cuts the rest,
    /// and returns when the last thread has ended.
    ///
    /// A handler's error becomes one `Failed` event. `busy` converts the reason why a client is not served into the
    /// bytes that are sent to it.
    ///
    /// # Errors
    /// If waiting for connections fails.
    pub fn serve<H>(
        self,
        stops: &[BorrowedFd<'_>],
        busy: fn(&str) -> Vec<u8>,
        handle: H,
    ) -> Result<(), ConnectionError>
    where
        H: Fn(&Connection) -> Result<(), ConnectionError> + Send + Sync,
    {
        self.log.tell(None, What::Listening(self.address));
        let live = Live::default();
        thread::scope(|scope| {
            let mut door = Door::default();
            let mut refused = 0;
            let ended = loop {
                let mut fds = vec![self.listener.as_fd()];
                fds.extend_from_slice(stops);
                match readable(&fds, door.next().map_or(Deadline::NEVER, Deadline::after)) {
                    Ok(ready) if ready[1..].contains(&true) => break Ok(()),
                    Ok(ready) if !ready[0] => {
                        door.close_due();
                        continue;
                    }
                    Ok(_) => {}
                    Err(source) => break Err(ConnectionError::Io { doing: "waiting failed", source }),
                }
                door.close_due();
                match self.listener.accept() {
                    Ok((stream, peer)) => {
                        door.accepted();
                        refused = 0;
                        if live.connections().len() >= self.limits.connections {
                            let limit = self.limits.connections;
                            refuse_above_limit(&mut door, stream, peer, limit, busy, &self.log);
                        } else if let Err((stream, why)) = self.admit(scope, &live, stream, peer, &handle) {
                            door.turn_away(stream, &busy(&why));
                            self.log.tell(Some(peer), What::Failed(why));
                        }
                    }
                    // A sandbox forbids the call, so no connection can ever be accepted.
                    Err(source) if source.kind() == ErrorKind::Unsupported || refused == MOST_REFUSED => {
                        break Err(ConnectionError::Io { doing: "cannot accept connections", source });
                    }
                    Err(error) => {
                        let is_refused = error.kind() == ErrorKind::PermissionDenied;
                        refused = if is_refused { refused + 1 } else { 0 };
                        if door.accept_failed(&error, &self.log) {
                            let _ = readable(stops, Deadline::after(REST));
                        }
                    }
                }
            };
            // From here on the kernel refuses connections.
            drop(self.listener);
            live.finish(self.limits.grace, &self.log);
            ended
        })
    }

    /// Serves a connection in a thread of its own. If no thread can be started, returns the stream and the reason.
    fn admit<'scope, 'env, H>(
        &self,
        scope: &'scope Scope<'scope, 'env>,
        live: &'env Live,
        stream: TcpStream,
        peer: SocketAddr,
        handle: &'scope H,
    ) -> Result<(), (TcpStream, String)>
    where
        H: Fn(&Connection) -> Result<(), ConnectionError> + Send + Sync,
    {
        let connection = match Connection::new(stream, &self.limits, &self.log) {
            Ok(connection) => Arc::new(connection),
            Err(error) => {
                self.log.tell(Some(peer), What::Failed(chain(&error)));
                return Ok(());
            }
        };
        let number = live.enter(&connection);
        let served = Arc::clone(&connection);
        let started = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, move || {
            let _leave = Leave { live, number };
            served.tell(What::Opened);
            if let Err(error) = handle(&served) {
                served.tell(What::Failed(chain(&error)));
            }
            served.tell(What::Closed);
        });
        let Err(error) = started else { return Ok(()) };
        live.leave(number);
        let why = format!("busy: no thread can be started: {error}; try again later");
        match Arc::try_unwrap(connection) {
            Ok(connection) => Err((connection.into_stream(), why)),
            Err(_) => Ok(()),
        }
    }
}

/// The reason why a client is not served, as a line of text.
pub(crate) fn plain_line(why: &str) -> Vec<u8> {
    format!("{why}\n").into_bytes()
}

/// Sends `reply` and ends the stream, without waiting for a peer that does not read. Closing a socket that holds
/// unread bytes resets the connection, and the reset can overtake the reply, so what arrives is discarded for a short
/// time.
pub(crate) fn dismiss(mut stream: &TcpStream, reply: &[u8]) {
    let until = Instant::now() + Duration::from_millis(200);
    let _ = set_nonblocking(stream);
    let _ = stream.write(reply);
    let _ = stream.shutdown(Shutdown::Write);
    let mut discarded = [0; 4096];
    while Instant::now() < until {
        match stream.read(&mut discarded) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let left = until.saturating_duration_since(Instant::now());
                if !readable(&[stream.as_fd()], Deadline::after(left)).is_ok_and(|ready| ready[0]) {
                    break;
                }
            }
            Err(_) => break,
        }
    }
}

/// The open connections.
#[derive(Default)]
struct Live {
    connections: Mutex<HashMap<u64, Arc<Connection>>>,
    left: Condvar,
}

impl Live {
    fn connections(&self) -> MutexGuard<'_, HashMap<u64, Arc<Connection>>> {
        // A handler that panics does not hold the lock.
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, connection: &Arc<Connection>) -> u64 {
        static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.connections().insert(number, Arc::clone(connection));
        number
    }

    fn leave(&self, number: u64) {
        self.connections().remove(&number);
        self.left.notify_all();
    }

    /// Waits for the last connection to end, at most `grace`, then cuts those that are left.
    fn finish(&self, grace: Duration, log: &Log) {
        // A connection that is just ending, as after `--once`, is not worth a line.
        let short = grace.min(ENDING);
        let open = self.left.wait_timeout_while(self.connections(), short, |open| !open.is_empty());
        let open = open.unwrap_or_else(PoisonError::into_inner).0;
        let left = grace.saturating_sub(short);
        if !open.is_empty() && !left.is_zero() {
            let (count, seconds) = (open.len(), grace.as_secs_f32());
            log.note(None, Note::Stopping { count, seconds });
        }
        let wait = self.left.wait_timeout_while(open, left, |open| !open.is_empty());
        for connection in wait.unwrap_or_else(PoisonError::into_inner).0.values() {
            connection
                .tell(What::Failed("cut: the server is stopping and the grace time is over".to_owned()));
            connection.cut();
        }
    }
}

sentences! {
    /// Remarks of a server.
    enum Note {
        Stopping { count: usize, seconds: f32 } =>
            "stopping: {count} open, up to {seconds} s to finish", "正在停止：还有 {count} 个连接，最多再等 {seconds} 秒";
    }
}

/// Removes a connection, however its handler ends.
struct Leave<'a> {
    live: &'a Live,
    number: u64,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.live.leave(self.number);
    }
}
