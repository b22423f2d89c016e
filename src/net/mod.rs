//! The network programs: servers and clients that speak the bytes of small Python programs, bounded
//! and timed.
//!
//! A program is a folder of its own, and known to the command line by one line of [`registry::PROGRAMS`].

/// Addresses, and connecting to them.
pub mod address;
/// Arguments that the programs share.
pub mod args;
/// A key is proven, then `upper` is spoken.
pub mod auth;
/// Raw text both ways.
pub mod chat;
/// A connection with time limits.
pub mod connection;
/// Both ends of a program as processes.
pub mod demo;
mod door;
/// Every byte comes back.
pub mod echo;
/// What an end reports.
pub mod event;
mod exchange;
/// A file, whole or not at all.
pub mod file;
/// Messages with their length in front.
pub mod frames;
mod framing;
/// Lines of an input.
pub mod input;
/// What a server spends at most.
pub mod limits;
#[cfg(test)]
mod ping;
/// What a network program is.
pub mod program;
/// A line per network program.
pub mod registry;
/// The TCP server under the programs.
pub mod server;
/// Small sends without boundaries.
pub mod sticky;
/// UTF-8 out of a stream.
pub mod text;
/// The life of connections as a diagram.
pub mod trace;
/// Datagrams.
pub mod udp;
/// Text comes back in upper case.
pub mod upper;
