//! The server: answers each datagram, and distinguishes clients by their addresses.

use super::{ANSWER, Receiving};
use crate::net::address::{AddressError, resolve};
use crate::net::connection::ConnectionError;
use crate::net::event::{Log, What};
use crate::net::program::EndError;
use crate::sys::poll::{Deadline, readable};
use crate::sys::socket::{receive, set_nonblocking};
use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};

/// The maximum number of clients to distinguish; above that, the one that has been silent longest is forgotten.
const CLIENTS: usize = 1024;

struct Client {
    number: u64,
    dropped: u16,
    seen: u64,
}

/// Answers datagrams until one of `stops` is readable.
///
/// # Errors
/// If the address is unusable, or waiting for datagrams fails.
pub(super) fn serve(receiving: &Receiving, stops: &[BorrowedFd<'_>], log: &Log) -> Result<(), EndError> {
    let bind_error = |source| AddressError::Bind { address: receiving.bind.clone(), source };
    let socket = UdpSocket::bind(&resolve(&receiving.bind)?[..]).map_err(bind_error)?;
    set_nonblocking(&socket).map_err(bind_error)?;
    log.tell(None, What::Listening(socket.local_addr().map_err(bind_error)?));

    let mut clients: HashMap<SocketAddr, Client> = HashMap::new();
    let mut buffer = vec![0; (receiving.buffer as usize).clamp(1, 1 << 16)];
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
            // After a wrong checksum `poll` reports ready and `recv` finds nothing. A refused answer may also be reported
            // here.
            Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
            Err(error) => {
                log.tell(None, What::Failed(format!("cannot receive a datagram: {error}")));
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
            log.note(Some(from), Note::Dropped { client: client.number, from });
            continue;
        }
        if datagram.sent > datagram.kept {
            let (sent, kept) = (datagram.sent, datagram.kept);
            log.note(Some(from), Note::Cut { client: client.number, from, sent, kept });
        }
        match cut_text(&buffer[..datagram.kept], datagram.sent > datagram.kept) {
            Ok(text) => log.tell(Some(from), What::Message(format!("{name}: {text}"))),
            Err(at) => {
                let why = format!("the datagram is not UTF-8: byte {at} is invalid");
                log.tell(Some(from), What::Failed(why));
                continue;
            }
        }
        let at = log.before_send();
        match socket.send_to(ANSWER.as_bytes(), from) {
            Ok(_) => log.sent(at, from, ANSWER.as_bytes()),
            Err(error) => log.tell(Some(from), What::Failed(format!("cannot send the answer: {error}"))),
        }
    }
}

sentences! {
    /// Remarks of the server.
    enum Note {
        Dropped { client: u64, from: SocketAddr } =>
            "client {client} ({from}): a datagram is dropped on purpose", "客户端 {client}（{from}）：故意丢弃一个数据报";
        Cut { client: u64, from: SocketAddr, sent: usize, kept: usize } =>
            "client {client} ({from}): a datagram of {sent} bytes is cut to the {kept} of the buffer; the rest is lost",
            "客户端 {client}（{from}）：{sent} 字节的数据报被截成缓冲区的 {kept} 字节，其余丢失";
    }
}

/// The text of a datagram, without a last character that was cut.
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
