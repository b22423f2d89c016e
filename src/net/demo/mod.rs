//! Demos: scripts that run both ends of a program as supervised processes, and report and check what was sent and
//! received.

pub mod damage;
mod stage;

pub use stage::{Client, DemoError, Entry, Observer, Running, Stage, Staging};
