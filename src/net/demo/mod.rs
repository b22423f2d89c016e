//! Demos: scripts that run both ends of a program as supervised processes, and report and check what was sent and
//! received.

pub mod damage;
pub mod hand;
mod proxy;
mod stage;

pub use proxy::Touched;
pub use stage::{Client, DemoError, Entry, Needed, Observer, Running, Stage, Staging};
