//! Keyboard input of a person who acts as the scheduler: a key at a terminal, the first character of a line elsewhere.

use std::io::{IsTerminal, Read, Write};
use std::os::fd::AsFd;

use crate::sys::poll::{Deadline, readable};
use crate::sys::signal::Interrupt;
use crate::sys::terminal::{self, Pressed};

/// The maximum length of a line: no person types a longer one.
const LONGEST: usize = 4096;

/// The keys that end the input. In raw mode the terminal sends Ctrl-C as a byte, not as a signal.
const CTRL_C: u8 = 3;
const CTRL_D: u8 = 4;

/// A key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// Enter or the space bar.
    Enter,
    /// Backspace.
    Back,
    /// Another character.
    Char(char),
}

/// The source of keys.
#[derive(Debug)]
pub(super) struct Keys {
    interrupt: Interrupt,
    /// Input that has been read but not yet returned.
    typed: Vec<u8>,
}

impl Keys {
    pub(super) fn new(interrupt: Interrupt) -> Keys {
        Keys { interrupt, typed: Vec::new() }
    }

    /// The next key; `None` at the end of the input, or after a signal that asks the program to end.
    pub(super) fn next(&mut self) -> Option<Key> {
        if self.interrupt.received().is_some() {
            return None;
        }
        let key = if std::io::stdin().is_terminal() { self.pressed()? } else { self.line()? };
        let _ = std::io::stderr().write_all(b"\n");
        Some(key)
    }

    fn pressed(&self) -> Option<Key> {
        let keys = terminal::Keys::listen().ok()?;
        let byte = match keys.next(self.interrupt.as_fd()).ok()? {
            Pressed::Byte(byte) => byte,
            Pressed::End | Pressed::Signal => return None,
        };
        match byte {
            CTRL_C | CTRL_D => None,
            b'\r' | b'\n' | b' ' => Some(Key::Enter),
            8 | 127 => Some(Key::Back),
            0x1b => Some(Key::Char('q')),
            byte => Some(Key::Char(char::from(byte))),
        }
    }

    fn line(&mut self) -> Option<Key> {
        let mut ended = false;
        let length = loop {
            if let Some(at) = self.typed.iter().position(|byte| *byte == b'\n') {
                break at + 1;
            }
            if ended {
                break self.typed.len();
            }
            if self.typed.len() > LONGEST {
                return None;
            }
            let stdin = std::io::stdin();
            let ready = readable(&[stdin.as_fd(), self.interrupt.as_fd()], Deadline::NEVER).ok()?;
            if ready[1] {
                return None;
            }
            // As large as the buffer of `stdin`: bytes left in it would be invisible to the poll.
            let mut bytes = [0; 8192];
            let n = stdin.lock().read(&mut bytes).ok()?;
            self.typed.extend_from_slice(&bytes[..n]);
            ended = n == 0;
        };
        let line: Vec<u8> = self.typed.drain(..length).collect();
        let first = || String::from_utf8_lossy(&line).trim().chars().next();
        (length > 0).then(|| first().map_or(Key::Enter, Key::Char))
    }
}
