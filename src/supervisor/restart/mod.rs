//! Children that are restarted when they end: OTP's supervisors, with real processes.

/// Readiness and heartbeats.
mod beat;
/// The specification of a tree.
mod spec;
/// A running tree.
mod tree;

pub use beat::{heartbeat, ready};
pub use spec::{ChildSpec, Restart, Strategy, Tree};
pub use tree::{ChildState, RunError, RunningTree, TreeEvent};
