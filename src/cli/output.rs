//! Standard output: a command's result reaches it, or the command reports why not.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;

use clap::ValueEnum;
use serde::Serialize;

use super::fault::{BROKEN, Fault};
use crate::sys::poll::await_writable;
use crate::sys::signal::Interrupt;

/// The output format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// The result of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// Everything was right.
    Right,
    /// Something is wrong.
    Wrong,
    /// This signal ended the command early; its output covers what it knew by then.
    Unknown(i32),
}

impl Finding {
    /// The finding of a command that was not interrupted.
    pub(crate) fn of(right: bool) -> Self {
        if right { Self::Right } else { Self::Wrong }
    }
}

/// Prints a command's result and returns the exit code, 3 if something is wrong.
pub(crate) fn print(result: Result<(String, Finding), Fault>) -> ExitCode {
    let said = result.and_then(|(text, finding)| write(&text).map(|()| finding));
    match said {
        Ok(Finding::Right) => ExitCode::SUCCESS,
        Ok(Finding::Wrong) => ExitCode::from(BROKEN),
        Ok(Finding::Unknown(signal)) => Fault::interrupted(signal).report(),
        Err(fault) => fault.report(),
    }
}

/// Writes `text`, without colours unless the terminal shows them.
///
/// A reader that has closed the pipe (`| head`) is not an error.
pub(super) fn write(text: &str) -> Result<(), Fault> {
    let is_plain = anstream::stdout().current_choice() == anstream::ColorChoice::Never;
    let text = if is_plain { anstream::adapter::strip_str(text).to_string() } else { text.to_owned() };
    let mut out = BlockingStdout(io::stdout().lock());
    judge(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// Standard output that blocks even if another program has set `O_NONBLOCK`, a flag of the open file description,
/// which all processes that inherited it share. Ctrl-C ends the wait.
struct BlockingStdout(io::StdoutLock<'static>);

impl BlockingStdout {
    fn attempt<T>(
        &mut self,
        mut write: impl FnMut(&mut io::StdoutLock<'static>) -> io::Result<T>,
    ) -> io::Result<T> {
        loop {
            match write(&mut self.0) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let interrupt = Interrupt::installed();
                    if !await_writable(self.0.as_fd(), interrupt.as_ref().map(AsFd::as_fd))? {
                        return Err(io::Error::other("interrupted while waiting for its reader"));
                    }
                }
                written => return written,
            }
        }
    }
}

impl Write for BlockingStdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.attempt(|out| out.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.attempt(|out| out.flush())
    }
}

/// The result of an attempt to write to standard output.
pub(super) fn judge(written: io::Result<()>) -> Result<(), Fault> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Fault::could_not_run(&error).context("standard output cannot be written"))
        }
        _ => Ok(()),
    }
}

/// A value as indented JSON.
pub(super) fn json(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}

/// The maximum width of a table.
pub(crate) fn width() -> u16 {
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    terminal_width().or(columns).unwrap_or(100).clamp(40, 200)
}

/// The width of the terminal, if standard output is one.
pub(crate) fn terminal_width() -> Option<u16> {
    console::Term::stdout().size_checked().map(|(_, columns)| columns)
}
