//! What a program of proclab reports about itself while it is watched: steps, locks, messages.
//!
//! The watcher passes a pipe to the program, with its descriptor in the environment; the program writes a frame per
//! event. An unwatched program finds no descriptor and writes nothing.

use crate::sys::pid::Pid;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};

use serde::{Deserialize, Serialize};

use crate::sys::notes_pipe;
use crate::wire::codec::{decode, encode};
use crate::wire::frame::{self, FrameDecoder};

/// The largest note that is taken.
const LIMIT: usize = 16 << 10;
/// Notes that are kept.
const MOST: usize = 100_000;

/// What happened, for programs: a watcher pairs, counts and joins these, and never parses the text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Fact {
    /// The process asked for the lock of this name, and another holds it.
    LockAwaited(String),
    /// The process holds the lock of this name.
    Locked(String),
    /// The process is about to release the lock of this name.
    Unlocked(String),
    /// The process waits for room in the queue of this name.
    RoomAwaited(String),
    /// The process waits for a message in the queue of this name.
    MessageAwaited(String),
    /// The process has put this message into a queue.
    Put(Message),
    /// The process has taken this message out of a queue; a message that its first taker lost is taken again.
    Taken(Message),
    /// The process is done with this message, which it had taken.
    Finished(Message),
}

/// Which message: unique within a run.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct Message {
    /// The name of the queue that it goes through.
    pub queue: String,
    /// The name of the process that put it.
    pub sender: String,
    /// Its number among those that this process put, from 0.
    pub number: u64,
}

/// Something that a process reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// When, `CLOCK_MONOTONIC` nanoseconds.
    pub at_ns: u64,
    /// The process.
    pub pid: Pid,
    /// Its name in the scenario.
    pub process: String,
    /// What, in a word, for people.
    pub what: String,
    /// What, in words.
    pub text: String,
    /// What, for programs; `None` if there is nothing to pair or to count.
    pub fact: Option<Fact>,
}

/// The program's end.
#[derive(Debug)]
pub struct Notes(Option<File>);

impl Notes {
    /// The pipe that the watcher has passed to this program; without a watcher, notes are discarded.
    pub fn inherited() -> Self {
        Self(notes_pipe::inherited())
    }

    /// Writes a note. It is no error if the watcher has ended: the program continues.
    pub fn tell(&mut self, note: &Note) {
        let Some(pipe) = &mut self.0 else { return };
        let framed = encode(note).ok().and_then(|bytes| frame::encode(&bytes, LIMIT).ok());
        if let Some(framed) = framed
            && pipe.write_all(&framed).is_err()
        {
            self.0 = None;
        }
    }
}

/// The watcher's end.
#[derive(Debug)]
pub struct Heard {
    pipe: File,
    decoder: FrameDecoder,
    notes: Vec<Note>,
    open: bool,
}

impl Heard {
    /// Reads from the reading end of a non-blocking pipe.
    pub fn new(pipe: File) -> Self {
        Self { pipe, decoder: FrameDecoder::new(LIMIT), notes: Vec::new(), open: true }
    }

    /// Reads what is available; ends for good at the end of the pipe, or at the first malformed frame.
    pub fn read(&mut self) {
        let mut buffer = [0; 16 << 10];
        while self.open {
            match self.pipe.read(&mut buffer) {
                Ok(0) => self.open = false,
                Ok(count) => self.take(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => self.open = false,
            }
        }
    }

    fn take(&mut self, mut bytes: &[u8]) {
        loop {
            match self.decoder.decode(&mut bytes) {
                Ok(Some(message)) => {
                    if let Ok(note) = decode::<Note>(&message)
                        && self.notes.len() < MOST
                    {
                        self.notes.push(note);
                    }
                }
                Ok(None) => return,
                Err(_) => {
                    self.open = false;
                    return;
                }
            }
        }
    }

    /// The notes so far, in the order in which they were written.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// All notes, in the order in which they were written.
    pub fn into_notes(self) -> Vec<Note> {
        self.notes
    }

    /// The descriptor to poll, while there may be more.
    pub fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.open.then(|| self.pipe.as_fd())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_come_through_the_pipe_and_noise_ends_the_listening() {
        let (reader, writer) = notes_pipe::pair().unwrap();
        let note = Note {
            at_ns: 5,
            pid: Pid::from_raw(7),
            process: "buyer-1".into(),
            what: "lock".into(),
            text: "has it".into(),
            fact: Some(Fact::Locked("lock".into())),
        };
        let mut notes = Notes(Some(File::from(writer.try_clone().unwrap())));
        notes.tell(&note);
        notes.tell(&note);
        let mut heard = Heard::new(reader);
        heard.read();
        assert_eq!(heard.notes, [note.clone(), note]);
        assert!(heard.as_fd().is_some());
        File::from(writer).write_all(&[0xff; 64]).unwrap();
        heard.read();
        assert_eq!((heard.notes.len(), heard.as_fd().is_none()), (2, true));
    }
}
