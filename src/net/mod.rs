//! The network programs: servers and clients that speak the bytes of small Python programs, bounded
//! and timed.

pub mod auth;
pub mod chat;
pub mod client;
pub mod connection;
pub mod datagram;
pub mod demo;
mod door;
pub mod echo;
pub mod end;
pub mod event;
pub mod frames;
pub mod input;
pub mod limits;
pub mod server;
pub mod sticky;
pub mod text;
pub mod trace;
pub mod transfer;
mod turns;
pub mod upper;
pub mod workers;
