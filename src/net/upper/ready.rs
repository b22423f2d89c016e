//! Readiness: the kernel reports which sockets have data (`epoll(7)`, through `mio`), and only those get a turn. An idle
//! connection costs memory and nothing else.
//!
//! A notification arrives once per change (edge-triggered), so a connection gets turns until it has nothing left: a
//! read or write would block, or a read returned less than the buffer holds. Turns rotate, so a connection that always
//! has more data cannot starve the others.

use super::Report;
use super::peer::{ACCEPTS, Peer, TURN, Turn};
use crate::net::connection::ConnectionError;
use crate::net::door::{Door, REST, refuse_above_limit};
use crate::net::event::{Log, What};
use crate::net::limits::Limits;
use crate::net::program::EndError;
use crate::net::server::plain_line;
use crate::process::chain;
use crate::sys::resource::cpu_time;
use crate::sys::socket::{lengthen_backlog, set_nonblocking};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use slab::Slab;
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::TcpListener;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

const LISTENER: Token = Token(usize::MAX - 1);
const STOP: Token = Token(usize::MAX);
/// How often the idle times and durations are checked.
const SWEEP: Duration = Duration::from_millis(500);

/// Serves `listener` until one of `stops` is readable and the open connections are done or the grace time is over.
///
/// # Errors
/// If no epoll instance can be created, or waiting fails.
pub(super) fn serve(
    listener: TcpListener,
    limits: &Limits,
    stops: &[BorrowedFd<'_>],
    log: &Log,
) -> Result<Report, EndError> {
    let server = Loop::new(listener, limits, stops, log)
        .map_err(ConnectionError::io("cannot create an epoll instance"))?;
    Ok(server.run().map_err(ConnectionError::io("waiting for readiness failed"))?)
}

struct Slot {
    peer: Peer,
    /// Whether it is already waiting for a turn.
    queued: bool,
    /// Whether the client has ended its direction. That is reported once, so the connection is then read to the end.
    ended: bool,
}

struct Loop<'a> {
    poll: Poll,
    listener: Option<TcpListener>,
    /// The time from which to try to accept, if connections may be waiting.
    acceptable: Option<Instant>,
    door: Door,
    slots: Slab<Slot>,
    turns: VecDeque<usize>,
    stopping: Option<Instant>,
    limits: &'a Limits,
    log: &'a Log,
    report: Report,
}

impl<'a> Loop<'a> {
    fn new(
        listener: TcpListener,
        limits: &'a Limits,
        stops: &[BorrowedFd<'_>],
        log: &'a Log,
    ) -> io::Result<Self> {
        set_nonblocking(&listener)?;
        lengthen_backlog(&listener)?;
        let poll = Poll::new()?;
        poll.registry().register(&mut SourceFd(&listener.as_raw_fd()), LISTENER, Interest::READABLE)?;
        for stop in stops {
            poll.registry().register(&mut SourceFd(&stop.as_raw_fd()), STOP, Interest::READABLE)?;
        }
        log.tell(None, What::Listening(listener.local_addr()?));
        Ok(Self {
            poll,
            listener: Some(listener),
            acceptable: None,
            door: Door::default(),
            slots: Slab::new(),
            turns: VecDeque::new(),
            stopping: None,
            limits,
            log,
            report: Report::default(),
        })
    }

    fn run(mut self) -> io::Result<Report> {
        let began = Instant::now();
        let mut events = Events::with_capacity(1024);
        let mut buffer = vec![0; TURN];
        let mut swept = began;
        while !self.is_over() {
            match self.poll.poll(&mut events, Some(self.patience())) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                polled => polled?,
            }
            for event in &events {
                match event.token() {
                    LISTENER => self.acceptable = Some(Instant::now()),
                    STOP => self.stop(),
                    Token(number) => {
                        if let Some(slot) = self.slots.get_mut(number).filter(|_| event.is_read_closed()) {
                            slot.ended = true;
                        }
                        self.queue(number);
                    }
                }
            }
            self.accept();
            self.door.close_due();
            let now = Instant::now();
            // Only those in the queue now: a connection that is queued again first waits for the next events.
            for _ in 0..self.turns.len() {
                if let Some(number) = self.turns.pop_front() {
                    self.turn(number, &mut buffer, now);
                }
            }
            if swept.elapsed() >= SWEEP {
                swept = Instant::now();
                self.sweep(swept);
            }
        }
        for (_, slot) in &self.slots {
            let why = "cut: the server is stopping and the grace time is over".to_owned();
            slot.peer.tell(self.log, What::Failed(why));
        }
        self.report.wall = began.elapsed();
        self.report.cpu = cpu_time()?;
        Ok(self.report)
    }

    fn is_over(&self) -> bool {
        self.stopping.is_some_and(|since| self.slots.is_empty() || since.elapsed() >= self.limits.grace)
    }

    /// The maximum time to wait for events.
    fn patience(&self) -> Duration {
        let accepting = self.acceptable.map(|at| at.saturating_duration_since(Instant::now()));
        let stopping = self.stopping.map(|since| self.limits.grace.saturating_sub(since.elapsed()));
        let turns = (!self.turns.is_empty()).then_some(Duration::ZERO);
        [accepting, stopping, turns, self.door.next()].into_iter().flatten().fold(SWEEP, Duration::min)
    }

    fn stop(&mut self) {
        if self.stopping.is_none() {
            self.stopping = Some(Instant::now());
            // Closing removes it from the epoll instance; the kernel refuses further connections.
            self.listener = None;
            self.acceptable = None;
        }
    }

    fn queue(&mut self, number: usize) {
        // An event of a connection that has just ended finds no slot, or gives a new connection a useless turn.
        if let Some(slot) = self.slots.get_mut(number).filter(|slot| !slot.queued) {
            slot.queued = true;
            self.turns.push_back(number);
        }
    }

    fn accept(&mut self) {
        let Some(listener) =
            self.listener.as_ref().filter(|_| self.acceptable.is_some_and(|at| at <= Instant::now()))
        else {
            return;
        };
        for _ in 0..ACCEPTS {
            match listener.accept() {
                Ok((stream, address)) if self.slots.len() >= self.limits.connections => {
                    self.door.accepted();
                    let limit = self.limits.connections;
                    refuse_above_limit(&mut self.door, stream, address, limit, plain_line, self.log);
                }
                Ok((stream, address)) => {
                    self.door.accepted();
                    let Ok(peer) = Peer::new(stream, address) else { continue };
                    let entry = self.slots.vacant_entry();
                    let both = Interest::READABLE | Interest::WRITABLE;
                    let registered = self.poll.registry().register(
                        &mut SourceFd(&peer.stream.as_raw_fd()),
                        Token(entry.key()),
                        both,
                    );
                    if let Err(error) = registered {
                        peer.tell(self.log, What::Failed(format!("cannot register it with epoll: {error}")));
                        continue;
                    }
                    peer.tell(self.log, What::Opened);
                    // epoll immediately reports data that arrived before the registration.
                    entry.insert(Slot { peer, queued: false, ended: false });
                    self.report.connections += 1;
                    self.report.most = self.report.most.max(self.slots.len());
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.acceptable = None;
                    return;
                }
                Err(error) => {
                    if self.door.accept_failed(&error, self.log) {
                        self.acceptable = Some(Instant::now() + REST);
                        return;
                    }
                }
            }
        }
    }

    fn turn(&mut self, number: usize, buffer: &mut [u8], now: Instant) {
        let Some(slot) = self.slots.get_mut(number) else { return };
        slot.queued = false;
        match slot.peer.turn(buffer, now, self.log) {
            Ok(Turn::Again) => self.queue(number),
            // Data that arrives from now on is reported again.
            Ok(Turn::Emptied) if !slot.ended => {}
            Ok(Turn::Emptied) => self.queue(number),
            Ok(Turn::Wait) => {}
            Ok(Turn::Done) => self.close(number, None),
            Err(error) => self.close(number, Some(error)),
        }
    }

    fn sweep(&mut self, now: Instant) {
        let late: Vec<(usize, ConnectionError)> = self
            .slots
            .iter()
            .filter_map(|(number, slot)| Some((number, slot.peer.check_time(self.limits, now).err()?)))
            .collect();
        for (number, error) in late {
            self.close(number, Some(error));
        }
    }

    fn close(&mut self, number: usize, error: Option<ConnectionError>) {
        // Dropping the stream closes it, which also removes it from the epoll instance.
        let slot = self.slots.remove(number);
        if let Some(error) = error {
            slot.peer.tell(self.log, What::Failed(chain(&error)));
        }
        slot.peer.tell(self.log, What::Closed);
    }
}
