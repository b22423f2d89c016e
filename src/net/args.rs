//! Arguments that the programs share: the address of an end, and its limits.

use crate::net::address::connect;
use crate::net::connection::Connection;
use crate::net::event::Log;
use crate::net::limits::Limits;
use crate::net::program::{EndError, Needs};
use clap::Args;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::time::Duration;

/// Any free port of the loopback address.
const LOOPBACK: &str = "127.0.0.1:0";

/// Arguments of a server.
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
pub struct ServeArgs {
    /// The address to listen at; port 0 takes a free port
    #[arg(long, value_name = "ADDRESS", default_value = LOOPBACK)]
    pub bind: String,
    /// Its limits.
    #[command(flatten)]
    pub bounds: Bounds,
}

impl ServeArgs {
    /// The needs of a server with these arguments, whose program has the limits `program`.
    pub fn needs(&self, program: &Limits) -> Needs {
        Needs::listen(self.bounds.limits(program).connections)
    }
}

/// Listens at a free loopback port, with the program's limits.
impl Default for ServeArgs {
    fn default() -> Self {
        Self { bind: LOOPBACK.to_owned(), bounds: Bounds::default() }
    }
}

/// Arguments of a client.
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
pub struct ConnectArgs {
    /// The address of the server, HOST:PORT
    pub address: String,
    /// Its limits.
    #[command(flatten)]
    pub bounds: ClientBounds,
}

impl ConnectArgs {
    /// Connects to `address`, with the program's limits.
    pub fn to(address: SocketAddr) -> Self {
        Self { address: address.to_string(), bounds: ClientBounds::default() }
    }

    /// The needs of a client with these arguments that sends lines to `other_end`.
    pub fn needs(&self, program: &Limits, other_end: &'static str) -> Needs {
        Needs::connect(&self.address, other_end).reading(self.bounds.limits(program).message)
    }

    /// Connects.
    ///
    /// # Errors
    /// Those of [`connect`].
    pub fn connection(&self, program: &Limits, log: &Log) -> Result<Connection, EndError> {
        connect(&self.address, &self.bounds.limits(program), log)
    }
}

/// The limits of a server that differ from those of its program.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[command(next_help_heading = "Limits")]
pub struct Bounds {
    /// Maximum number of open connections; further ones get a message and are closed
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_connections: Option<u32>,
    /// How long open connections may continue after the server is asked to stop
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub grace: Option<Duration>,
    /// The limits of one connection.
    #[command(flatten)]
    pub each: ClientBounds,
}

/// The limits of one connection that differ from those of its program.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[command(next_help_heading = "Limits")]
pub struct ClientBounds {
    /// Maximum time to wait for the next byte
    #[arg(long, value_name = "SECONDS", value_parser = positive_seconds)]
    pub idle: Option<Duration>,
    /// Maximum duration of a connection
    #[arg(long, value_name = "SECONDS", value_parser = positive_seconds)]
    pub total: Option<Duration>,
    /// Maximum length of a message in bytes
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(1..=1 << 30))]
    pub max_message: Option<u32>,
}

impl Bounds {
    /// The limits that apply to a program with the limits `program`.
    pub fn limits(&self, program: &Limits) -> Limits {
        Limits {
            connections: self.max_connections.map_or(program.connections, |n| n as usize),
            grace: self.grace.unwrap_or(program.grace),
            ..self.each.limits(program)
        }
    }
}

impl ClientBounds {
    /// The limits that apply to a program with the limits `program`.
    pub fn limits(&self, program: &Limits) -> Limits {
        Limits {
            idle: self.idle.unwrap_or(program.idle),
            total: self.total.unwrap_or(program.total),
            message: self.max_message.map_or(program.message, |bytes| bytes as usize),
            ..*program
        }
    }
}

/// Shows a program's limits as default values in the help of its ends.
pub(crate) fn show_defaults(command: clap::Command, limits: &Limits) -> clap::Command {
    let defaults = [
        ("max_connections", limits.connections.to_string()),
        ("grace", limits.grace.as_secs_f64().to_string()),
        ("idle", limits.idle.as_secs_f64().to_string()),
        ("total", limits.total.as_secs_f64().to_string()),
        ("max_message", limits.message.to_string()),
    ];
    command.mut_subcommands(|mut end| {
        for (id, default) in &defaults {
            if end.get_arguments().any(|arg| arg.get_id() == id) {
                end = end.mut_arg(id, |arg| {
                    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
                    arg.help(format!("{help} [default: {default}]"))
                });
            }
        }
        end
    })
}

/// Parses a duration in seconds, such as `2` or `0.5`.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 =
        text.parse().map_err(|_| "it must be a number of seconds, such as 2 or 0.5".to_owned())?;
    if !(0.0..=1e9).contains(&seconds) {
        return Err("it must be from 0 to 1000000000 seconds".to_owned());
    }
    Ok(Duration::from_secs_f64(seconds))
}

fn positive_seconds(text: &str) -> Result<Duration, String> {
    match seconds(text)? {
        Duration::ZERO => Err("it must be more than 0 seconds".to_owned()),
        duration => Ok(duration),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_overrides_the_limit_of_the_program() {
        let program = Limits { connections: 7, message: 9, ..Limits::DEFAULT };
        assert_eq!(Bounds::default().limits(&program), program);
        let bounds = Bounds { max_connections: Some(3), ..Bounds::default() };
        assert_eq!(bounds.limits(&program), Limits { connections: 3, ..program });
        let bounds = ClientBounds { max_message: Some(4), ..ClientBounds::default() };
        assert_eq!(bounds.limits(&program), Limits { message: 4, ..program });
    }

    #[test]
    fn seconds_are_a_number_within_bounds() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for text in ["", "x", "-1", "nan", "inf", "1e10"] {
            assert!(seconds(text).is_err(), "{text:?}");
        }
        assert!(positive_seconds("0").is_err());
    }
}
