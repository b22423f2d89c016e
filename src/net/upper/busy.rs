//! The busy loop: reads non-blocking sockets one after the other, without end.
//!
//! It shows what non-blocking I/O is, and why it alone does not make a server: a whole core is spent on reading from
//! sockets that have nothing, and each further idle connection makes every round longer.

use super::Report;
use super::peer::{ACCEPTS, Peer, TURN, Turn};
use crate::net::connection::ConnectionError;
use crate::net::door::{Door, REST, refuse_above_limit};
use crate::net::event::{Log, What};
use crate::net::limits::Limits;
use crate::net::program::EndError;
use crate::net::server::plain_line;
use crate::process::chain;
use crate::sys::poll::{Deadline, readable};
use crate::sys::resource::cpu_time;
use crate::sys::socket::set_nonblocking;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

/// Serves `listener` until one of `stops` is readable and the open connections are done or the grace time is over.
///
/// # Errors
/// If the socket cannot be made non-blocking.
pub(super) fn serve(
    listener: TcpListener,
    limits: &Limits,
    stops: &[BorrowedFd<'_>],
    log: &Log,
) -> Result<Report, EndError> {
    set_nonblocking(&listener).map_err(ConnectionError::io("cannot make the socket non-blocking"))?;
    let address = listener.local_addr().map_err(ConnectionError::io("the socket has no address"))?;
    log.tell(None, What::Listening(address));
    let mut report = Report::default();
    let mut door = Door::default();
    let mut resting: Option<Instant> = None;
    let began = Instant::now();
    let mut listener = Some(listener);
    let mut stopping: Option<Instant> = None;
    let mut peers: Vec<Peer> = Vec::new();
    let mut buffer = vec![0; TURN];
    loop {
        let now = Instant::now();
        if let Some(listener) = listener.as_ref().filter(|_| resting.is_none_or(|until| until <= now)) {
            let failed = accept(listener, limits, &mut peers, &mut report, &mut door, log);
            resting = failed.then(|| now + REST);
        }
        door.close_due();
        peers.retain_mut(|peer| {
            let turn = match peer.turn(&mut buffer, now, log) {
                Ok(Turn::Wait) => peer.check_time(limits, now).map(|()| Turn::Wait),
                turn => turn,
            };
            match turn {
                Ok(Turn::Done) => {}
                Ok(_) => return true,
                Err(error) => peer.tell(log, What::Failed(chain(&error))),
            }
            peer.tell(log, What::Closed);
            false
        });
        if stopping.is_none()
            && readable(stops, Deadline::after(Duration::ZERO)).is_ok_and(|r| r.contains(&true))
        {
            listener = None;
            stopping = Some(now);
        }
        if stopping.is_some_and(|since| peers.is_empty() || since.elapsed() >= limits.grace) {
            break;
        }
    }
    for peer in &peers {
        peer.tell(log, What::Failed("cut: the server is stopping and the grace time is over".to_owned()));
    }
    report.wall = began.elapsed();
    report.cpu = cpu_time().map_err(ConnectionError::io("cannot read the processor time"))?;
    Ok(report)
}

/// Accepts waiting connections, up to a limit so that open ones get their turns; accepting one per round would make a
/// burst wait for many rounds. Returns whether accepting must pause.
fn accept(
    listener: &TcpListener,
    limits: &Limits,
    peers: &mut Vec<Peer>,
    report: &mut Report,
    door: &mut Door,
    log: &Log,
) -> bool {
    for _ in 0..ACCEPTS {
        let (stream, address) = match listener.accept() {
            Ok(accepted) => accepted,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
            Err(error) if door.accept_failed(&error, log) => return true,
            Err(_) => continue,
        };
        door.accepted();
        if peers.len() >= limits.connections {
            refuse_above_limit(door, stream, address, limits.connections, plain_line, log);
        } else if let Ok(peer) = Peer::new(stream, address) {
            peer.tell(log, What::Opened);
            peers.push(peer);
            report.connections += 1;
            report.most = report.most.max(peers.len());
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;

    #[test]
    fn all_connections_that_wait_are_accepted_in_one_round() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        set_nonblocking(&listener).unwrap();
        let address = listener.local_addr().unwrap();
        let clients: Vec<_> = (0..5).map(|_| TcpStream::connect(address).unwrap()).collect();
        let (mut peers, mut report, mut door) = (Vec::new(), Report::default(), Door::default());
        let limits = Limits { connections: 3, ..Limits::DEFAULT };
        let rests = accept(&listener, &limits, &mut peers, &mut report, &mut door, &Log::new(drop));
        assert_eq!((peers.len(), report.most, rests), (3, 3, false));
        drop(clients);
        let refused = door.next().is_some();
        assert!(refused, "connections above the limit get a message");
    }
}
