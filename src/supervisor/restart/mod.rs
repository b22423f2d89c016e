//! Children that are started again when they end: OTP's supervisors, over real processes.

/// What the body of a child says to its tree.
mod beat;
/// A child that can be started again.
mod spec;
/// A tree that runs.
mod tree;

pub use beat::{heartbeat, ready};
pub use spec::{ChildSpec, Restart, Strategy, Tree};
pub use tree::{ChildState, Event, RunError, RunningTree};
