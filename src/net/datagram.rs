//! `udp`: one datagram a message, answered with `收到`. Datagrams have borders, and nothing else:
//! they may be lost, cut to the receiver's buffer, or come twice, and this shows when they are.

use crate::net::client::{AddressError, ClientError, resolve};
use crate::net::connection::ConnectionError;
use crate::net::event::{Log, What};
use crate::net::input::Line;
use crate::sys::poll::{Deadline, readable};
use crate::sys::socket::receive;
use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::mpsc::Receiver;
use std::time::Duration;

/// What the server answers to each datagram.
pub const ANSWER: &str = "收到";

/// Clients that are told apart at once; above that the one that was silent longest is forgotten.
const CLIENTS: usize = 1024;

/// How the server treats what comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Receiving {
    /// The size of its buffer in bytes: the rest of a longer datagram is lost.
    pub buffer: usize,
    /// How many of a hundred datagrams of each client it ignores, as if the network had lost them;
    /// they are spread evenly, so that a run can be repeated.
    pub drop: u8,
}

/// How patient the client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Patience {
    /// How long one answer is waited for.
    pub timeout: Duration,
    /// How often a message is sent again.
    pub retries: u32,
}

struct Client {
    number: u64,
    dropped: u16,
    seen: u64,
}

/// Answers datagrams at `address` until one of `stops` is readable.
///
/// # Errors
/// When the address cannot be bound or the kernel cannot wait.
pub fn serve(
    address: &str,
    receiving: Receiving,
    stops: &[BorrowedFd<'_>],
    log: &Log,
) -> Result<(), ClientError> {
    let bind_error = |source| AddressError::Bind { address: address.to_owned(), source };
    let socket = UdpSocket::bind(&resolve(address)?[..]).map_err(bind_error)?;
    socket.set_nonblocking(true).map_err(bind_error)?;
    log.tell(None, What::Listening(socket.local_addr().map_err(bind_error)?));

    let mut clients: HashMap<SocketAddr, Client> = HashMap::new();
    let mut buffer = vec![0; receiving.buffer.clamp(1, 1 << 16)];
    let mut came = 0_u64;
    loop {
        let mut fds = vec![socket.as_fd()];
        fds.extend_from_slice(stops);
        let ready = readable(&fds, Deadline::NEVER).map_err(ConnectionError::io("waiting failed"))?;
        if ready[1..].contains(&true) {
            return Ok(());
        }
        let datagram = match receive(&socket, &mut buffer) {
            Ok(datagram) => datagram,
            // A wrong checksum lets `poll` say ready and `recv` find nothing; a refused answer of
            // ours may be told here as well.
            Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
            Err(error) => {
                log.tell(None, What::Failed(format!("receiving a datagram failed: {error}")));
                continue;
            }
        };
        came += 1;
        let from = datagram.from;
        let client = remember(&mut clients, from, came);
        log.received(from, &buffer[..datagram.kept]);
        let name = format!("client {} ({from})", client.number);
        client.dropped += u16::from(receiving.drop);
        if client.dropped >= 100 {
            client.dropped -= 100;
            log.tell(Some(from), What::Note(format!("{name}: a datagram is dropped on purpose")));
            continue;
        }
        if datagram.sent > datagram.kept {
            log.tell(
                Some(from),
                What::Note(format!(
                    "{name}: a datagram of {} bytes is cut to the {} of the buffer, the rest is lost",
                    datagram.sent, datagram.kept
                )),
            );
        }
        match cut_text(&buffer[..datagram.kept], datagram.sent > datagram.kept) {
            Ok(text) => log.tell(Some(from), What::Message(format!("{name}: {text}"))),
            Err(at) => {
                let why = format!("what came is not UTF-8: the first wrong byte is number {at}");
                log.tell(Some(from), What::Failed(why));
                continue;
            }
        }
        let at = log.before_send();
        match socket.send_to(ANSWER.as_bytes(), from) {
            Ok(_) => log.sent(at, from, ANSWER.as_bytes()),
            Err(error) => log.tell(Some(from), What::Failed(format!("the answer cannot be sent: {error}"))),
        }
    }
}

/// The text of a datagram. Where the datagram was cut, a character cut with it is left out.
fn cut_text(bytes: &[u8], cut: bool) -> Result<&str, usize> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text),
        Err(error) if cut && error.error_len().is_none() => {
            Ok(std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default())
        }
        Err(error) => Err(error.valid_up_to()),
    }
}

fn remember(clients: &mut HashMap<SocketAddr, Client>, from: SocketAddr, came: u64) -> &mut Client {
    if clients.len() >= CLIENTS
        && !clients.contains_key(&from)
        && let Some(oldest) = clients.iter().min_by_key(|(_, client)| client.seen).map(|(a, _)| *a)
    {
        clients.remove(&oldest);
    }
    let number = clients.values().map(|client| client.number).max().unwrap_or(0) + 1;
    let client = clients.entry(from).or_insert(Client { number, dropped: 0, seen: 0 });
    client.seen = came;
    client
}

/// Sends each line as a datagram and tells the answer; a lone `Q` or `q`, ours or the server's, ends it.
///
/// A message is sent again when no answer comes in time. The server may then see it twice, for an
/// answer can be lost as well as a message.
///
/// # Errors
/// When the address is none, nobody listens there, or a message was never answered.
pub fn run_client(
    address: &str,
    patience: Patience,
    lines: &Receiver<Line>,
    log: &Log,
) -> Result<(), ClientError> {
    let server = resolve(address)?[0];
    let connect_error = |source| AddressError::Connect { address: address.to_owned(), source };
    let any: SocketAddr = if server.is_ipv4() {
        (std::net::Ipv4Addr::UNSPECIFIED, 0).into()
    } else {
        (std::net::Ipv6Addr::UNSPECIFIED, 0).into()
    };
    let socket = UdpSocket::bind(any).map_err(connect_error)?;
    // Connected, so that datagrams of strangers do not come in and a closed port is told.
    socket.connect(server).map_err(connect_error)?;
    let (mut asked, mut lost) = (0_u32, 0_u32);
    for line in lines {
        match line {
            Line::Refused(why) => log.tell(None, What::Note(why)),
            Line::Text(text) if text.is_empty() => {}
            Line::Text(text) if text.eq_ignore_ascii_case("q") => break,
            Line::Text(text) => {
                asked += 1;
                match ask(&socket, server, text.as_bytes(), patience, log)? {
                    Some(answer) if answer.eq_ignore_ascii_case("q") => break,
                    Some(answer) => log.tell(Some(server), What::Message(answer)),
                    None => {
                        lost += 1;
                        let times = patience.retries + 1;
                        let why = format!("no answer to {text:?}, which was sent {times} times");
                        log.tell(Some(server), What::Failed(why));
                    }
                }
            }
        }
    }
    if lost == 0 {
        return Ok(());
    }
    Err(ConnectionError::Refused(format!("{lost} of {asked} messages were not answered")).into())
}

fn ask(
    socket: &UdpSocket,
    server: SocketAddr,
    message: &[u8],
    patience: Patience,
    log: &Log,
) -> Result<Option<String>, ConnectionError> {
    let mut buffer = vec![0; 1 << 16];
    // An answer that was late belongs to an earlier message.
    while readable(&[socket.as_fd()], Deadline::after(Duration::ZERO))
        .map_err(ConnectionError::io("waiting failed"))?[0]
    {
        if socket.recv(&mut buffer).is_ok() {
            log.tell(Some(server), What::Note("a late answer is passed over".to_owned()));
        }
    }
    for attempt in 0..=patience.retries {
        if attempt > 0 {
            log.tell(
                Some(server),
                What::Note(format!("no answer: sent again ({attempt} of {})", patience.retries)),
            );
        }
        let at = log.before_send();
        match socket.send(message) {
            Ok(_) => log.sent(at, server, message),
            // The port was closed when the last one arrived; it may be open for this one.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
            Err(source) => {
                return Err(ConnectionError::Io {
                    doing: "a message cannot be sent as one datagram",
                    source,
                });
            }
        }
        let deadline = Deadline::after(patience.timeout);
        while readable(&[socket.as_fd()], deadline).map_err(ConnectionError::io("waiting failed"))?[0] {
            match socket.recv(&mut buffer) {
                Ok(n) => {
                    log.received(server, &buffer[..n]);
                    return Ok(Some(String::from_utf8_lossy(&buffer[..n]).into_owned()));
                }
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                    log.tell(Some(server), What::Note("nobody listens there (yet)".to_owned()));
                    break;
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(source) => return Err(ConnectionError::Io { doing: "receiving failed", source }),
            }
        }
        // A refusal came at once: wait the time out, or the retries are used up in a moment.
        let left = deadline.left().unwrap_or_default();
        if attempt < patience.retries && !left.is_zero() {
            std::thread::sleep(left);
        }
    }
    Ok(None)
}
