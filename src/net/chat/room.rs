//! The members of a server's chat: its lines go to all of them.

use super::conversation::{Out, converse, is_end};
use super::turn::Turn;
use crate::net::connection::{Connection, ConnectionError};
use crate::net::event::Log;
use crate::net::input::Line;
use crate::net::limits::Limits;
use std::collections::HashMap;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// How many messages are queued for a client that does not read; further ones are dropped.
const WAITING: usize = 64;

/// The clients of a server.
#[derive(Debug, Clone, Default)]
pub(super) struct Room(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The members to which messages can still be sent.
    members: HashMap<u64, SyncSender<Out>>,
    /// The number of members that may still send.
    present: usize,
    next: u64,
    input_ended: bool,
}

impl Room {
    /// Sends each line to all members. A line is read only while the room has a member. Returns when the lines
    /// end; conversations continue in one direction.
    pub(super) fn speak(&self, lines: &Receiver<Line>, log: &Log) {
        loop {
            drop(self.wait_for_members());
            let Ok(line) = lines.recv() else { break };
            match line {
                Line::Text(text) if text.is_empty() => {}
                Line::Text(text) => self.say(&text),
                Line::Refused(why) => log.note(None, why),
            }
        }
        let mut state = self.state();
        state.input_ended = true;
        for (_, member) in state.members.drain() {
            let _ = member.try_send(Out::End);
        }
    }

    /// Serves one member until the conversation ends.
    ///
    /// # Errors
    /// If the connection breaks or stalls, or the client sends something that is not text.
    pub(super) fn serve_one(&self, connection: &Connection, limits: &Limits) -> Result<(), ConnectionError> {
        let (outgoing, queue) = sync_channel(WAITING);
        let number = self.enter(&outgoing);
        let peer = connection.peer();
        let ended = converse(connection, limits, &outgoing, queue, Turn::default(), &|text| {
            // With a single member it is clear who has sent it.
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
        // The last member may have left while the line was read: wait again.
        let mut state = self.wait_for_members();
        // A full queue means that the client does not read; its writer will exceed the idle time.
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
