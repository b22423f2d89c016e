//! A proxy between two ends, which does to each piece what was chosen before, or what a person decides meanwhile.

use super::damage::{Damage, Direction, Fate, Harm};
use super::hand::{Hand, Piece};
use crate::net::event::Bytes;
use crate::sys::clock::monotonic_ns;
use crate::sys::poll::{Deadline, readable};
use crate::sys::socket::set_nonblocking;
use std::collections::HashMap;
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::{self, JoinHandle};

/// What was done to a piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touched {
    /// When, in nanoseconds of the monotonic clock.
    pub at_ns: u64,
    /// The piece.
    pub piece: Piece,
    /// What became of it.
    pub fate: Fate,
    /// How long it stood before, in nanoseconds.
    pub held_ns: u64,
}

impl Touched {
    /// The place of the damage in its connection, as the command line takes it.
    pub fn place(&self) -> Option<Damage> {
        let (at, harm) = match self.fate {
            Fate::Pass => return None,
            Fate::Flip(at) => (at, Harm::Flip),
            Fate::Cut(at) => (at, Harm::Cut),
        };
        Some(Damage { direction: self.piece.direction, byte: self.piece.first + at as u64, harm })
    }
}

/// Who disturbs what passes.
#[derive(Debug, Clone)]
pub(super) enum By {
    /// It was chosen before.
    Plan(Damage),
    /// A person, piece by piece.
    Hand(Hand),
}

/// Disturbs what passes, and tells of it.
#[derive(Clone)]
pub(super) struct Disturber {
    pub(super) by: By,
    pub(super) see: Arc<dyn Fn(Touched) + Send + Sync>,
}

impl Disturber {
    /// Calls `then` with what becomes of a piece of which this is known, or drops it if the proxy ends before that.
    fn decide(&self, proxy: u64, piece: Piece, then: impl FnOnce(Fate) + Send + 'static) {
        let (see, came_ns, seen) = (Arc::clone(&self.see), monotonic_ns(), piece.clone());
        let by_hand = matches!(self.by, By::Hand(_));
        let then = move |fate| {
            let at_ns = monotonic_ns();
            if by_hand || fate != Fate::Pass {
                see(Touched { at_ns, piece: seen, fate, held_ns: at_ns - came_ns });
            }
            then(fate);
        };
        match &self.by {
            By::Plan(damage) => then(damage.fate(piece.direction, piece.first, piece.bytes.length)),
            By::Hand(hand) => hand.ask(proxy, piece, then),
        }
    }
}

/// A proxy of a server. Dropping it cuts it, including bytes in transit.
pub(super) struct Wire {
    pub(super) address: SocketAddr,
    hand: Option<(Hand, u64)>,
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Wire {
    /// A proxy that forwards connections to `server`.
    pub(super) fn of_streams(server: SocketAddr, disturber: Disturber) -> io::Result<Self> {
        let listener = TcpListener::bind((server.ip(), 0))?;
        let address = listener.local_addr()?;
        Self::start(address, disturber, move |number, stopped, disturber| {
            carry_streams(&listener, number, &stopped, server, &disturber);
        })
    }

    /// A proxy that forwards datagrams to `server`, and each answer to the client that asked.
    pub(super) fn of_datagrams(server: SocketAddr, disturber: Disturber) -> io::Result<Self> {
        let front = UdpSocket::bind((server.ip(), 0))?;
        set_nonblocking(&front)?;
        let address = front.local_addr()?;
        Self::start(address, disturber, move |number, stopped, disturber| {
            // A failing socket ends the proxy, which both ends notice.
            let _ = carry_datagrams(&Arc::new(front), number, &stopped, server, &disturber);
        })
    }

    fn start(
        address: SocketAddr,
        disturber: Disturber,
        carry: impl FnOnce(u64, UnixStream, Disturber) + Send + 'static,
    ) -> io::Result<Self> {
        let hand = if let By::Hand(hand) = &disturber.by { Some((hand.clone(), hand.enter())) } else { None };
        let number = hand.as_ref().map_or(0, |(_, number)| *number);
        let (stop, stopped) = UnixStream::pair()?;
        let thread = thread::Builder::new().spawn(move || carry(number, stopped, disturber))?;
        Ok(Self { address, hand, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        drop(self.stop.take());
        // What stands holds up the threads of the proxy.
        if let Some((hand, number)) = &self.hand {
            hand.leave(*number);
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn carry_streams(
    listener: &TcpListener,
    proxy: u64,
    stopped: &UnixStream,
    server: SocketAddr,
    disturber: &Disturber,
) {
    let open = Mutex::new(Vec::new());
    let streams = || open.lock().unwrap_or_else(PoisonError::into_inner);
    thread::scope(|scope| {
        while let Ok(ready) = readable(&[listener.as_fd(), stopped.as_fd()], Deadline::NEVER) {
            if ready[1] {
                break;
            }
            let pair =
                listener.accept().and_then(|(client, peer)| Ok((client, peer, TcpStream::connect(server)?)));
            // If the server is gone, the client's connection is closed here.
            let Ok((client, peer, server)) = pair else { continue };
            for (direction, from, to) in
                [(Direction::Up, &client, &server), (Direction::Down, &server, &client)]
            {
                // Without descriptors or threads the connection breaks here, which both ends notice.
                let carried =
                    from.try_clone().and_then(|from| Ok((from, to.try_clone()?))).and_then(|(from, to)| {
                        let way = Way { proxy, client: peer, direction };
                        let pass = move || pass(&from, &to, way, disturber);
                        thread::Builder::new().spawn_scoped(scope, pass)
                    });
                if carried.is_err() {
                    let _ = from.shutdown(Shutdown::Both);
                    let _ = to.shutdown(Shutdown::Both);
                }
            }
            streams().extend([client, server]);
        }
        streams().iter().for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
    });
}

/// A direction of a connection through a proxy.
#[derive(Clone, Copy)]
struct Way {
    proxy: u64,
    client: SocketAddr,
    direction: Direction,
}

impl Way {
    fn piece(self, first: u64, bytes: &[u8]) -> Piece {
        Piece { direction: self.direction, client: self.client, first, bytes: Bytes::of(bytes) }
    }
}

/// Forwards what arrives until the stream ends, and then the end.
fn pass(mut from: &TcpStream, mut to: &TcpStream, way: Way, disturber: &Disturber) {
    let _ = to.set_nodelay(true);
    let mut buffer = vec![0; 16 << 10];
    let mut passed = 0;
    let ended = loop {
        match from.read(&mut buffer) {
            Ok(0) => break Shutdown::Write,
            Ok(n) => {
                let (tell, fate) = mpsc::channel();
                disturber.decide(way.proxy, way.piece(passed, &buffer[..n]), move |fate| {
                    let _ = tell.send(fate);
                });
                // The proxy ends.
                let Ok(fate) = fate.recv() else { break Shutdown::Both };
                let left = fate.apply(&mut buffer[..n]);
                passed += n as u64;
                if to.write_all(&buffer[..left]).is_err() || left < n {
                    break Shutdown::Both;
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => break Shutdown::Both,
        }
    };
    let _ = to.shutdown(ended);
    if ended == Shutdown::Both {
        let _ = from.shutdown(ended);
    }
}

fn carry_datagrams(
    front: &Arc<UdpSocket>,
    proxy: u64,
    stopped: &UnixStream,
    server: SocketAddr,
    disturber: &Disturber,
) -> io::Result<()> {
    let mut clients: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let mut fds = vec![stopped.as_fd(), front.as_fd()];
        fds.extend(clients.values().map(AsFd::as_fd));
        if readable(&fds, Deadline::NEVER)?[0] {
            return Ok(());
        }
        while let Ok((n, client)) = front.recv_from(&mut buffer) {
            let back = match clients.get(&client) {
                Some(back) => back,
                None => {
                    let back = UdpSocket::bind((server.ip(), 0))?;
                    back.connect(server)?;
                    set_nonblocking(&back)?;
                    clients.entry(client).or_insert(Arc::new(back))
                }
            };
            let (back, mut bytes) = (Arc::clone(back), buffer[..n].to_vec());
            let way = Way { proxy, client, direction: Direction::Up };
            disturber.decide(proxy, way.piece(0, &buffer[..n]), move |fate| {
                if fate.apply(&mut bytes) == n {
                    let _ = back.send(&bytes);
                }
            });
        }
        for (client, back) in &clients {
            while let Ok(n) = back.recv(&mut buffer) {
                let (front, client, mut bytes) = (Arc::clone(front), *client, buffer[..n].to_vec());
                let way = Way { proxy, client, direction: Direction::Down };
                disturber.decide(proxy, way.piece(0, &buffer[..n]), move |fate| {
                    if fate.apply(&mut bytes) == n {
                        let _ = front.send_to(&bytes, client);
                    }
                });
            }
        }
    }
}
