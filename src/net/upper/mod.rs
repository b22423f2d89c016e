//! `upper`: returns text in upper case, with two kinds of server to compare.

mod busy;
mod demo;
mod peer;
mod ready;

use crate::net::args::{ConnectArgs, ServeArgs};
use crate::net::connection::{Connection, ConnectionError};
use crate::net::demo::{DemoError, Stage};
use crate::net::exchange::talk;
use crate::net::limits::Limits;
use crate::net::program::{Context, End, EndError, Needs, Program};
use crate::net::server::Server;
use crate::net::text::TextDecoder;
use clap::{Subcommand, ValueEnum};
use peer::TURN;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The program.
#[derive(Debug)]
pub struct Upper;

impl Program for Upper {
    const NAME: &'static str = "upper";
    const ABOUT: &'static str = "Return text in upper case, by a busy loop or by readiness";
    // An idle connection costs a few hundred bytes.
    const LIMITS: Limits = Limits { connections: 16_384, ..Limits::DEFAULT };
    type Ends = Ends;

    fn demo(stage: &mut Stage<'_>) -> Result<(), DemoError> {
        demo::play(stage)
    }
}

/// The ends.
#[derive(Debug, Subcommand, Serialize, Deserialize)]
pub enum Ends {
    /// Send everything back in upper case, and report the cost at the end
    Serve(Serve),
    /// Send each line, and show what comes back
    Connect(ConnectArgs),
}

/// The end that listens.
#[derive(Debug, clap::Args, Serialize, Deserialize)]
pub struct Serve {
    /// The address and the limits.
    #[command(flatten)]
    pub serve: ServeArgs,
    /// How the server finds the connections that have sent something
    #[arg(long, value_enum, value_name = "MODE", default_value_t = Mode::Ready)]
    pub mode: Mode,
}

/// How the server finds the connections that have sent something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub enum Mode {
    /// It tries to read from all of them, again and again
    Busy,
    /// The kernel reports them (epoll)
    Ready,
}

impl End for Ends {
    fn needs(&self) -> Needs {
        match self {
            Self::Serve(args) => args.serve.needs(&Upper::LIMITS),
            Self::Connect(args) => args.needs(&Upper::LIMITS, "upper serve"),
        }
    }

    fn run(&self, context: Context<'_>) -> Result<(), EndError> {
        let Context { input, stops, log } = context;
        match self {
            Self::Serve(args) => {
                let limits = args.serve.bounds.limits(&Upper::LIMITS);
                let listener = Server::bind(&args.serve.bind, limits, log)?.into_listener();
                let serve = match args.mode {
                    Mode::Busy => busy::serve,
                    Mode::Ready => ready::serve,
                };
                let report = serve(listener, &limits, stops, log)?;
                log.note(None, report.note());
                Ok(())
            }
            Self::Connect(args) => Ok(talk(&args.connection(&Upper::LIMITS, log)?, &input, upper)?),
        }
    }
}

/// The text in upper case, like Python's `str.upper`: one character may become two or three.
pub fn upper(text: &str) -> String {
    text.to_uppercase()
}

/// Serves one connection in the calling thread, as `auth` does once the key is proven.
///
/// # Errors
/// If what arrives is not UTF-8, or the connection stalls or breaks.
pub fn serve_one(connection: &Connection) -> Result<(), ConnectionError> {
    let mut buffer = vec![0; TURN];
    let mut decoder = TextDecoder::default();
    loop {
        match connection.read(&mut buffer)? {
            0 => return Ok(decoder.end()?),
            n => connection.write_all(upper(&decoder.decode(&buffer[..n])?).as_bytes())?,
        }
    }
}

/// What a server has done, and what it cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Report {
    /// Connections accepted.
    connections: u64,
    /// Maximum number of connections open at once.
    most: usize,
    /// Processor time in user mode and in the kernel.
    cpu: (Duration, Duration),
    /// The time from the first wait to the end.
    wall: Duration,
}

impl Report {
    fn note(&self) -> Note {
        let (user, kernel) = (self.cpu.0.as_secs_f64(), self.cpu.1.as_secs_f64());
        let (used, wall) = (user + kernel, self.wall.as_secs_f64());
        let share = 100.0 * used / wall.max(0.001);
        Note::Used { connections: self.connections, most: self.most, used, user, kernel, wall, share }
    }
}

sentences! {
    /// Remarks of the server.
    enum Note {
        Used { connections: u64, most: usize, used: f64, user: f64, kernel: f64, wall: f64, share: f64 } =>
            "{connections} connections, at most {most} at once; {used:.2} s of processor time ({user:.2} user, {kernel:.2} kernel) in {wall:.1} s: {share:.1} % of a core",
            "{connections} 个连接，同时最多 {most} 个；{wall:.1} 秒内用了 {used:.2} 秒处理器时间（用户态 {user:.2}，内核态 {kernel:.2}）：一个核的 {share:.1} %";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upper_case_is_that_of_python() {
        // python3 -c "print('straße ǆ ﬁ ŉ 火 i'.upper())"
        assert_eq!(upper("straße ǆ ﬁ ŉ 火 i"), "STRASSE Ǆ FI ʼN 火 I");
    }
}
