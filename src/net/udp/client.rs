//! The client: sends each line as a datagram, and sends it again if no answer arrives.

use super::Patience;
use crate::net::address::{AddressError, resolve};
use crate::net::connection::ConnectionError;
use crate::net::event::{Log, What};
use crate::net::input::Line;
use crate::net::program::EndError;
use crate::sys::poll::{Deadline, readable};
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::mpsc::Receiver;
use std::time::Duration;

/// Sends each line as a datagram and reports the answer; a lone `Q` or `q` from either end stops it.
///
/// A message is sent again if no answer arrives in time. The server may then receive it twice, because the answer may
/// have been lost and not the message.
///
/// # Errors
/// If the address is unusable, or a message was never answered.
pub(super) fn run(patience: &Patience, input: &Receiver<Line>, log: &Log) -> Result<(), EndError> {
    let server = resolve(&patience.address)?[0];
    let connect_error = |source| AddressError::Connect { address: patience.address.clone(), source };
    let any: SocketAddr = if server.is_ipv4() {
        (std::net::Ipv4Addr::UNSPECIFIED, 0).into()
    } else {
        (std::net::Ipv6Addr::UNSPECIFIED, 0).into()
    };
    let socket = UdpSocket::bind(any).map_err(connect_error)?;
    // Connected, so that datagrams of other hosts are not received and a closed port is reported.
    socket.connect(server).map_err(connect_error)?;
    let (mut asked, mut lost) = (0_u32, 0_u32);
    for line in input {
        match line {
            Line::Refused(why) => log.note(None, why),
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
                        let why = format!("no answer to {text:?}, sent {times} times");
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

sentences! {
    /// Remarks of the client.
    enum Note {
        LateAnswer => "ignoring a late answer", "忽略迟到的回答";
        SentAgain { attempt: u32, most: u32 } =>
            "no answer: sent again ({attempt} of {most})", "没有回答：重发（第 {attempt} 次，最多 {most} 次）";
        NobodyListens => "no server listens there yet", "那里还没有服务器在监听";
    }
}

fn ask(
    socket: &UdpSocket,
    server: SocketAddr,
    message: &[u8],
    patience: &Patience,
    log: &Log,
) -> Result<Option<String>, ConnectionError> {
    let mut buffer = vec![0; 1 << 16];
    // A late answer belongs to an earlier message.
    while readable(&[socket.as_fd()], Deadline::after(Duration::ZERO))
        .map_err(ConnectionError::io("waiting failed"))?[0]
    {
        if socket.recv(&mut buffer).is_ok() {
            log.note(Some(server), Note::LateAnswer);
        }
    }
    for attempt in 0..=patience.retries {
        if attempt > 0 {
            log.note(Some(server), Note::SentAgain { attempt, most: patience.retries });
        }
        let at = log.before_send();
        match socket.send(message) {
            Ok(_) => log.sent(at, server, message),
            // The port was closed when the previous datagram arrived, but may be open now.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
            Err(source) => {
                return Err(ConnectionError::Io { doing: "cannot send the message as one datagram", source });
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
                    log.note(Some(server), Note::NobodyListens);
                    break;
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(source) => return Err(ConnectionError::Io { doing: "receiving failed", source }),
            }
        }
        // A refusal arrives immediately: wait the whole time, or the retries are used up at once.
        let left = deadline.left().unwrap_or_default();
        if attempt < patience.retries && !left.is_zero() {
            std::thread::sleep(left);
        }
    }
    Ok(None)
}
