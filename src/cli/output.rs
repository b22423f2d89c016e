//! Standard output: what a command has to say gets there, or the command says why it did not.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;

use clap::ValueEnum;
use serde::Serialize;

use super::fault::{BROKEN, Fault};
use crate::sys::poll::await_writable;
use crate::sys::signal::Interrupt;

/// How something is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// What a command has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// All was right.
    Right,
    /// Something is wrong.
    Wrong,
    /// This signal ended the command before it could know; what it says is what it knew by then.
    Unknown(i32),
}

impl Finding {
    /// Of a command that was not interrupted.
    pub(crate) fn of(right: bool) -> Self {
        if right { Self::Right } else { Self::Wrong }
    }
}

/// Prints what a command has to say; 3 if it found that something is wrong.
pub(crate) fn print(result: Result<(String, Finding), Fault>) -> ExitCode {
    let said = result.and_then(|(text, finding)| write(&text).map(|()| finding));
    match said {
        Ok(Finding::Right) => ExitCode::SUCCESS,
        Ok(Finding::Wrong) => ExitCode::from(BROKEN),
        Ok(Finding::Unknown(signal)) => Fault::interrupted(signal).report(),
        Err(fault) => fault.report(),
    }
}

/// Writes `text`, without colours where they would not be seen.
///
/// A reader that has gone away (`| head`) has read enough: that is no fault.
pub(super) fn write(text: &str) -> Result<(), Fault> {
    let is_plain = anstream::stdout().current_choice() == anstream::ColorChoice::Never;
    let text = if is_plain { anstream::adapter::strip_str(text).to_string() } else { text.to_owned() };
    let mut out = Patient(io::stdout().lock());
    judge(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// Standard output that is waited for where another program has made it non-blocking (`O_NONBLOCK` belongs to the open
/// file, which all that inherit it share). Ctrl-C ends the wait.
struct Patient(io::StdoutLock<'static>);

impl Patient {
    fn attempt<T>(
        &mut self,
        mut write: impl FnMut(&mut io::StdoutLock<'static>) -> io::Result<T>,
    ) -> io::Result<T> {
        loop {
            match write(&mut self.0) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let interrupt = Interrupt::installed();
                    if !await_writable(self.0.as_fd(), interrupt.as_ref().map(AsFd::as_fd))? {
                        return Err(io::Error::other("the wait for its reader was interrupted"));
                    }
                }
                written => return written,
            }
        }
    }
}

impl Write for Patient {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.attempt(|out| out.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.attempt(|out| out.flush())
    }
}

/// What becomes of an attempt to write to standard output.
pub(super) fn judge(written: io::Result<()>) -> Result<(), Fault> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Fault::could_not_run(&error).context("standard output cannot be written"))
        }
        _ => Ok(()),
    }
}

/// A value as a page of JSON.
pub(super) fn json(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}

/// How wide a table may be.
pub(crate) fn width() -> u16 {
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    terminal_width().or(columns).unwrap_or(100).clamp(40, 200)
}

/// How wide the terminal is, if standard output is one.
pub(crate) fn terminal_width() -> Option<u16> {
    console::Term::stdout().size_checked().map(|(_, columns)| columns)
}
