//! The network programs: servers and clients that are compatible with small Python programs and limited in time and
//! memory.
//!
//! Each program has a folder of its own. One line in [`registry::PROGRAMS`] makes it known to the command line.

/// Addresses, and connecting to them.
pub mod address;
/// Arguments that the programs share.
pub mod args;
/// Like `upper`, after the client has proven that it has the key.
pub mod auth;
/// Raw text both ways.
pub mod chat;
/// A connection with time limits.
pub mod connection;
/// Demos: both ends of a program as processes.
pub mod demo;
mod door;
/// Echoes every byte.
pub mod echo;
/// The events that an end reports.
pub mod event;
mod exchange;
/// Transfers a file, whole or not at all.
pub mod file;
/// Messages preceded by their length.
pub mod frames;
mod framing;
/// Lines of input.
pub mod input;
/// The limits of a server.
pub mod limits;
#[cfg(test)]
mod ping;
/// The interface of a network program.
pub mod program;
/// The list of network programs.
pub mod registry;
/// The TCP server under the programs.
pub mod server;
/// Small sends without boundaries.
pub mod sticky;
/// UTF-8 decoding of a stream.
pub mod text;
/// The segments of connections as a diagram.
pub mod trace;
/// Datagrams.
pub mod udp;
/// Returns text in upper case.
pub mod upper;
