//! Any run as a timeline: who runs, who is ready, who is blocked on what.

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
