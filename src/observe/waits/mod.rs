//! What threads are blocked on: from the kernel's tables to words, and to a wait-for graph.

mod descriptor;
mod fifo;
mod graph;
mod lock;
mod poll;
mod probe;
mod pthread;
mod restarted;
mod scene;
mod signal;
mod table;
mod wait;
pub mod words;

pub use graph::{Deadlock, deadlocks};
pub use probe::{probe, probe_call};
pub use scene::{Actor, Scene};
pub use table::{Described, describe};
pub use wait::{Ends, Kind, Wait};
