//! What a person types who schedules: a key at a terminal, the first of a line elsewhere.

use std::io::{IsTerminal, Read, Write};
use std::os::fd::AsFd;

use crate::sys::poll::{Deadline, readable};
use crate::sys::signal::Interrupt;
use crate::sys::terminal::{self, Pressed};

/// The longest line: whatever writes a longer one is no person.
const LONGEST: usize = 4096;

/// The keys for which the end of the input stands: Ctrl-C's neighbours, where the terminal raises no signal.
const CTRL_C: u8 = 3;
const CTRL_D: u8 = 4;

/// What a person typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// Enter or the space bar.
    Enter,
    /// Backspace.
    Back,
    /// Another character.
    Char(char),
}

/// Where keys come from.
#[derive(Debug)]
pub(super) struct Keys {
    interrupt: Interrupt,
    /// What has come of lines that are not yet taken.
    typed: Vec<u8>,
}

impl Keys {
    pub(super) fn new(interrupt: Interrupt) -> Keys {
        Keys { interrupt, typed: Vec::new() }
    }

    /// One key; `None` at the end of the input, and after a signal that asks the program to end.
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
            // As much as the standard input keeps: nothing may be left there that the poll does not see.
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
