//! `chat`: raw text both ways, at any time; a lone `Q` or `q` ends it.
//!
//! There are no borders on the wire: one send is a message only as long as nothing else is sent
//! before the other end has read it. Both ends do what can be done about that. The sender leaves a
//! pause between two messages, and waits a moment for an answer first, as the turn-by-turn programs
//! expect (a client waits so before its first message too); the receiver takes what comes without a
//! pause as one message. Frames are the real remedy.

use crate::net::client::{ClientError, connect};
use crate::net::connection::{Connection, ConnectionError};
use crate::net::event::{Log, What};
use crate::net::input::Line;
use crate::net::limits::Limits;
use crate::net::text::TextDecoder;
use std::collections::HashMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, channel, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A pause that ends a message.
const QUIET: Duration = Duration::from_millis(30);
/// The least time between two messages: well above [`QUIET`].
const GAP: Duration = Duration::from_millis(90);
/// How long an answer is waited for before the next message is sent.
const TURN: Duration = Duration::from_millis(300);
/// How long the other end has to close after one of us said `Q`.
const PARTING: Duration = Duration::from_secs(2);
/// Messages that may wait for a client that does not read, before it is cut.
const WAITING: usize = 64;

/// Talks with one server: lines go out, messages come in, until one end says `Q` or both have ended.
///
/// # Errors
/// When the server cannot be reached, or the conversation breaks.
pub fn run_client(
    address: &str,
    limits: &Limits,
    lines: Receiver<Line>,
    log: &Log,
) -> Result<(), ClientError> {
    let connection = connect(address, limits, log)?;
    let (outgoing, queue) = sync_channel(1);
    let forward = outgoing.clone();
    let notes = log.clone();
    // Detached, as it may wait for a terminal; it ends with the conversation or with the process.
    let read = move || {
        for line in lines {
            match line {
                Line::Text(text) if text.is_empty() => {}
                Line::Text(text) => {
                    if forward.send(Out::Text(text)).is_err() {
                        return;
                    }
                }
                Line::Refused(why) => notes.tell(None, What::Note(why)),
            }
        }
        let _ = forward.send(Out::End);
    };
    std::thread::Builder::new().spawn(read).map_err(ConnectionError::no_thread)?;
    // Python's server speaks first: a client that spoke at the same time would be out of turn.
    let turn = Turn::of_the_other();
    converse(&connection, limits, &outgoing, queue, turn, &|text| text)?;
    Ok(())
}

/// The people in a server's room: what the server says goes to all of them.
#[derive(Debug, Clone, Default)]
pub struct Room(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Those who can still be spoken to.
    members: HashMap<u64, SyncSender<Out>>,
    /// Those who may still speak.
    present: usize,
    next: u64,
    input_ended: bool,
}

#[derive(Debug)]
enum Out {
    Text(String),
    /// Nothing more will be said to this member.
    End,
}

impl Room {
    /// Says each line to everyone in the room. A line is read when somebody is there to hear it.
    /// Returns when the lines end; conversations go on, one-way.
    pub fn speak(&self, lines: &Receiver<Line>, log: &Log) {
        loop {
            drop(self.wait_for_members());
            let Ok(line) = lines.recv() else { break };
            match line {
                Line::Text(text) if text.is_empty() => {}
                Line::Text(text) => self.say(&text),
                Line::Refused(why) => log.tell(None, What::Note(why)),
            }
        }
        let mut state = self.state();
        state.input_ended = true;
        for (_, member) in state.members.drain() {
            let _ = member.try_send(Out::End);
        }
    }

    /// Serves one member of the room until the conversation ends.
    ///
    /// # Errors
    /// When the connection breaks, sends what is not text, or stalls.
    pub fn serve_one(&self, connection: &Connection, limits: &Limits) -> Result<(), ConnectionError> {
        let (outgoing, queue) = sync_channel(WAITING);
        let number = self.enter(&outgoing);
        let peer = connection.peer();
        let ended = converse(connection, limits, &outgoing, queue, Turn::default(), &|text| {
            // With one other end there is no doubt about who speaks.
            if self.state().present > 1 { format!("{peer}: {text}") } else { text }
        });
        let mut state = self.state();
        state.members.remove(&number);
        state.present -= 1;
        ended
    }

    fn enter(&self, outgoing: &SyncSender<Out>) -> u64 {
        let mut state = self.state();
        let number = state.next;
        state.next += 1;
        state.present += 1;
        if state.input_ended {
            let _ = outgoing.try_send(Out::End);
        } else {
            state.members.insert(number, outgoing.clone());
        }
        self.0.changed.notify_all();
        number
    }

    fn say(&self, text: &str) {
        let ends = is_end(text);
        // Waits again: the last member may have left while the line was read.
        let mut state = self.wait_for_members();
        // A full queue is a client that does not read: its writer runs into the idle time.
        for member in state.members.values() {
            let _ = member.try_send(Out::Text(text.to_owned()));
        }
        if ends {
            state.members.clear();
        }
    }

    fn wait_for_members(&self) -> MutexGuard<'_, State> {
        self.0
            .changed
            .wait_while(self.state(), |state| state.members.is_empty())
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a message ends the conversation.
fn is_end(text: &str) -> bool {
    text.trim_end_matches(['\r', '\n']).eq_ignore_ascii_case("q")
}

/// One conversation: a thread writes what `queue` gives, this one reads.
fn converse(
    connection: &Connection,
    limits: &Limits,
    outgoing: &SyncSender<Out>,
    queue: Receiver<Out>,
    turn: Turn,
    show: &dyn Fn(String) -> String,
) -> Result<(), ConnectionError> {
    let (reading_ended, reading) = channel::<()>();
    let idle = limits.idle;
    let wake = outgoing.clone();
    // The writer waits for words, not for the socket. Where no room is left for this, it has some to write.
    connection.on_cut(move || drop(wake.try_send(Out::End)));
    std::thread::scope(|scope| {
        let turn = &turn;
        let write = move || {
            let written = write_messages(connection, &queue, turn, idle);
            connection.finish_sending();
            if !matches!(written, Ok(Parted::Silent)) {
                // `Q` is said, or nothing can be said: the other end has a moment to close as well.
                let _ = reading.recv_timeout(PARTING);
                connection.cut();
            }
            written
        };
        let writer = std::thread::Builder::new().spawn_scoped(scope, write);
        let writer = writer.map_err(ConnectionError::no_thread)?;
        let read = read_messages(connection, limits.message, turn, show);
        match read {
            Ok(Parted::Silent) => turn.peer_ended(),
            Ok(Parted::Said) => connection.finish_sending(),
            Err(_) => connection.cut(),
        }
        if !matches!(read, Ok(Parted::Silent)) {
            turn.end();
            let _ = outgoing.try_send(Out::End);
        }
        // The writer may wait for us, and we for it: it is told first.
        drop(reading_ended);
        let written = writer.join().expect("writing messages does not panic");
        match (read, written) {
            // Who has said or heard `Q` does not mind how the other end closes.
            (Ok(Parted::Said), _) | (_, Ok(Parted::Said)) => Ok(()),
            (read, written) => read.and(written).map(|_| ()),
        }
    })
}

/// How one direction ended: with a `Q`, or with the end of what there was to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Parted {
    Said,
    Silent,
}

fn write_messages(
    connection: &Connection,
    queue: &Receiver<Out>,
    turn: &Turn,
    idle: Duration,
) -> Result<Parted, ConnectionError> {
    loop {
        let text = match queue.recv_timeout(idle) {
            Ok(Out::Text(text)) if turn.wait() => text,
            // The end of the peer's stream may be half a close or a whole one; only time tells.
            Err(RecvTimeoutError::Timeout) if !turn.has_peer_ended() => continue,
            _ => return Ok(Parted::Silent),
        };
        connection.write_all(text.as_bytes())?;
        turn.sent();
        if is_end(&text) {
            return Ok(Parted::Said);
        }
    }
}

fn read_messages(
    connection: &Connection,
    limit: usize,
    turn: &Turn,
    show: &dyn Fn(String) -> String,
) -> Result<Parted, ConnectionError> {
    let mut decoder = TextDecoder::default();
    let mut buffer = vec![0; limit.clamp(1, 16 << 10)];
    let mut text = String::new();
    loop {
        let got = if text.is_empty() {
            Some(connection.read(&mut buffer)?)
        } else {
            connection.read_timeout(&mut buffer, QUIET)?
        };
        let ended = got == Some(0);
        if let Some(n) = got {
            text += &decoder.decode(&buffer[..n])?;
        }
        // A stream without a pause is shown in pieces of the limit: no more is held.
        if (got.is_none() || ended || text.len() >= limit) && !text.is_empty() {
            turn.received();
            if is_end(&text) {
                return Ok(Parted::Said);
            }
            let message = std::mem::take(&mut text);
            connection.tell(What::Message(show(message.trim_end_matches(['\r', '\n']).to_owned())));
        }
        if ended {
            decoder.end()?;
            return Ok(Parted::Silent);
        }
    }
}

/// Whose turn it is, as far as that can be known.
#[derive(Default)]
struct Turn {
    state: Mutex<TurnState>,
    changed: Condvar,
}

#[derive(Default)]
struct TurnState {
    last_sent: Option<Instant>,
    answered: bool,
    peer_ended: bool,
    over: bool,
}

impl Turn {
    /// As if we had just spoken.
    fn of_the_other() -> Self {
        let turn = Self::default();
        turn.sent();
        turn
    }

    fn state(&self) -> MutexGuard<'_, TurnState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sent(&self) {
        let mut state = self.state();
        state.last_sent = Some(Instant::now());
        state.answered = false;
    }

    fn received(&self) {
        self.state().answered = true;
        self.changed.notify_all();
    }

    fn peer_ended(&self) {
        self.state().peer_ended = true;
        self.changed.notify_all();
    }

    fn has_peer_ended(&self) -> bool {
        self.state().peer_ended
    }

    fn end(&self) {
        self.state().over = true;
        self.changed.notify_all();
    }

    /// Waits until the next message may be sent; `false` when the conversation is over.
    fn wait(&self) -> bool {
        let mut state = self.state();
        while let Some(last) = state.last_sent.filter(|_| !state.over) {
            let pause = if state.answered || state.peer_ended { GAP } else { TURN };
            let left = pause.saturating_sub(last.elapsed());
            if left.is_zero() {
                break;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        !state.over
    }
}
