//! The page: a server of one address with a secret in it, for a lecture hall.
//!
//! The server checks each request, starts workers, and passes on their messages. A worker is a process
//! of this executable, started by a [`Supervisor`](crate::Supervisor), that drives the same engine as the command line
//! and writes JSON. No request names a program: the command to watch, schedule or explore is the one given on the
//! command line, and every other worker runs a scenario, a network program or a lab of a registry.

mod access;
mod assets;
mod catalogue;
mod class;
mod connection;
mod job;
mod program;
/// What goes over the wire, with its version.
pub mod protocol;
mod reply;
mod routes;
mod server;
mod stream;
mod worker;

pub use program::Program;
pub use server::{Class, Listening, Options, ServeError, serve};
