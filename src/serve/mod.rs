//! The page: a server of one address with a secret in it, for a lecture hall.
//!
//! The server does three things: it checks who asks, starts workers, and hands on what they say. A worker is a process
//! of this executable, started by a [`Supervisor`](crate::Supervisor), that drives the same engine as the command line
//! and writes JSON. No request names a program: the command to watch is the one given on the command line, and every
//! other worker runs a scenario of the registry.

mod access;
mod assets;
mod catalogue;
mod class;
mod connection;
mod job;
/// What goes over the wire, with its version.
pub mod protocol;
mod reply;
mod routes;
mod server;
mod stream;
mod worker;

pub use server::{Class, Listening, Options, ServeError, serve};
