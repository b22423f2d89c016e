//! A demo runs both ends of a program as supervised processes with a written script, reports what crossed the wire, and
//! checks it.

pub mod damage;
mod stage;

pub use stage::{Client, DemoError, Entry, Running, Stage, Staging};
