//! Any run as a timeline: which processes run, are ready, or are blocked, and on what.

mod budget;
pub mod event;
mod false_exits;
mod lives;
pub mod notes;
mod sampled;
mod sampler;
mod switches;
pub mod tier;
pub mod timeline;
pub mod waits;
pub mod watch;
