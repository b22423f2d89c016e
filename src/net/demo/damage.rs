//! A proxy between two ends that flips one bit or cuts the connection, to show that a demo notices.

use crate::sys::poll::{Deadline, readable};
use crate::sys::socket::set_nonblocking;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// What is done to each connection, or to each datagram, that is long enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Damage {
    /// The direction.
    pub direction: Direction,
    /// The number of bytes before it.
    pub byte: u64,
    /// What is done there.
    pub harm: Harm,
}

/// A kind of damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Harm {
    /// The lowest bit of that byte is flipped.
    Flip,
    /// The connection ends before that byte, in both directions; a datagram that contains it is lost.
    Cut,
}

/// A direction of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Direction {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
}

/// The text does not name a place on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it must be up:BYTE or down:BYTE, such as up:0")]
pub struct DamageError;

impl FromStr for Damage {
    type Err = DamageError;

    fn from_str(text: &str) -> Result<Self, DamageError> {
        let (direction, byte) = text.split_once(':').ok_or(DamageError)?;
        let direction = match direction {
            "up" => Direction::Up,
            "down" => Direction::Down,
            _ => return Err(DamageError),
        };
        Ok(Self { direction, byte: byte.parse().map_err(|_| DamageError)?, harm: Harm::Flip })
    }
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let direction = if self.direction == Direction::Up { "up" } else { "down" };
        write!(f, "{direction}:{}", self.byte)
    }
}

impl Damage {
    /// The connection is cut at this place.
    #[must_use]
    pub fn cut(self) -> Self {
        Self { harm: Harm::Cut, ..self }
    }

    /// Damages `bytes`, which follow the first `passed` bytes of the stream in `direction`. Returns how many of them
    /// still pass; the connection ends after these if that is not all.
    fn apply(self, direction: Direction, passed: u64, bytes: &mut [u8]) -> usize {
        let at = self.byte.checked_sub(passed).and_then(|at| usize::try_from(at).ok());
        let at = at.filter(|at| *at < bytes.len() && direction == self.direction);
        match (at, self.harm) {
            (Some(at), Harm::Flip) => bytes[at] ^= 1,
            (Some(at), Harm::Cut) => return at,
            (None, _) => {}
        }
        bytes.len()
    }
}

/// A proxy of a server. Dropping it cuts it, including bytes in transit.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) address: SocketAddr,
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl Wire {
    /// A proxy that forwards connections to `server`.
    pub(super) fn of_streams(server: SocketAddr, damage: Damage) -> io::Result<Self> {
        let listener = TcpListener::bind((server.ip(), 0))?;
        let address = listener.local_addr()?;
        Self::start(address, move |stopped| carry_streams(&listener, &stopped, server, damage))
    }

    /// A proxy that forwards datagrams to `server`, and each answer to the client that asked.
    pub(super) fn of_datagrams(server: SocketAddr, damage: Damage) -> io::Result<Self> {
        let front = UdpSocket::bind((server.ip(), 0))?;
        set_nonblocking(&front)?;
        let address = front.local_addr()?;
        Self::start(address, move |stopped| {
            // A failing socket ends the proxy, which both ends notice.
            let _ = carry_datagrams(&front, &stopped, server, damage);
        })
    }

    fn start(address: SocketAddr, carry: impl FnOnce(UnixStream) + Send + 'static) -> io::Result<Self> {
        let (stop, stopped) = UnixStream::pair()?;
        let thread = thread::Builder::new().spawn(move || carry(stopped))?;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn carry_streams(listener: &TcpListener, stopped: &UnixStream, server: SocketAddr, damage: Damage) {
    let open = Mutex::new(Vec::new());
    let streams = || open.lock().unwrap_or_else(PoisonError::into_inner);
    thread::scope(|scope| {
        while let Ok(ready) = readable(&[listener.as_fd(), stopped.as_fd()], Deadline::NEVER) {
            if ready[1] {
                break;
            }
            let pair = listener.accept().and_then(|(client, _)| Ok((client, TcpStream::connect(server)?)));
            // If the server is gone, the client's connection is closed here.
            let Ok((client, server)) = pair else { continue };
            for (direction, from, to) in
                [(Direction::Up, &client, &server), (Direction::Down, &server, &client)]
            {
                // Without descriptors or threads the connection breaks here, which both ends notice.
                let carried =
                    from.try_clone().and_then(|from| Ok((from, to.try_clone()?))).and_then(|(from, to)| {
                        let pass = move || pass(&from, &to, direction, damage);
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

/// Forwards what arrives until the stream ends, and then the end.
fn pass(mut from: &TcpStream, mut to: &TcpStream, direction: Direction, damage: Damage) {
    let _ = to.set_nodelay(true);
    let mut buffer = vec![0; 16 << 10];
    let mut passed = 0;
    let ended = loop {
        match from.read(&mut buffer) {
            Ok(0) => break Shutdown::Write,
            Ok(n) => {
                let left = damage.apply(direction, passed, &mut buffer[..n]);
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
    front: &UdpSocket,
    stopped: &UnixStream,
    server: SocketAddr,
    damage: Damage,
) -> io::Result<()> {
    let mut clients: HashMap<SocketAddr, UdpSocket> = HashMap::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let mut fds = vec![stopped.as_fd(), front.as_fd()];
        fds.extend(clients.values().map(AsFd::as_fd));
        if readable(&fds, Deadline::NEVER)?[0] {
            return Ok(());
        }
        while let Ok((n, client)) = front.recv_from(&mut buffer) {
            if damage.apply(Direction::Up, 0, &mut buffer[..n]) < n {
                continue;
            }
            let back = match clients.get(&client) {
                Some(back) => back,
                None => {
                    let back = UdpSocket::bind((server.ip(), 0))?;
                    back.connect(server)?;
                    set_nonblocking(&back)?;
                    clients.entry(client).or_insert(back)
                }
            };
            let _ = back.send(&buffer[..n]);
        }
        for (client, back) in &clients {
            while let Ok(n) = back.recv(&mut buffer) {
                if damage.apply(Direction::Down, 0, &mut buffer[..n]) == n {
                    let _ = front.send_to(&buffer[..n], client);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bit_in_one_direction_is_damaged_however_the_stream_is_cut() {
        let damage: Damage = "up:2".parse().unwrap();
        for cuts in [&[5][..], &[2, 3], &[1, 1, 1, 2], &[3, 2]] {
            let mut bytes = *b"aaaaa";
            let mut passed = 0;
            for cut in cuts {
                damage.apply(Direction::Down, passed as u64, &mut bytes[passed..passed + cut]);
                damage.apply(Direction::Up, passed as u64, &mut bytes[passed..passed + cut]);
                passed += cut;
            }
            assert_eq!(&bytes, b"aa`aa", "{cuts:?}");
        }
    }

    #[test]
    fn what_follows_a_cut_does_not_pass_however_the_stream_is_cut() {
        let cut = "down:3".parse::<Damage>().unwrap().cut();
        for cuts in [&[5][..], &[2, 3], &[3, 2], &[1, 1, 1, 2]] {
            let (mut passed, mut left) = (0, 0);
            for piece in cuts {
                let mut bytes = vec![0; *piece];
                assert_eq!(cut.apply(Direction::Up, passed, &mut bytes), *piece);
                let some = cut.apply(Direction::Down, passed, &mut bytes);
                (passed, left) = (passed + *piece as u64, left + some);
                if some < *piece {
                    break;
                }
            }
            assert_eq!(left, 3, "{cuts:?}");
        }
    }

    #[test]
    fn malformed_damage_is_refused() {
        for text in ["", "up", "up:", "up:-1", "left:1", "up:1:2", "down:x"] {
            assert_eq!(text.parse::<Damage>(), Err(DamageError), "{text:?}");
        }
        let damage = Damage { direction: Direction::Down, byte: 7, harm: Harm::Flip };
        assert_eq!(("down:7".parse(), damage.to_string()), (Ok(damage), "down:7".to_owned()));
    }
}
