//! Children that are restarted when they end: OTP's supervisors, with real processes.

/// Readiness and heartbeats.
mod beat;
/// What happens in a tree.
mod event;
/// One supervisor of a tree.
mod node;
/// The specification of a tree.
mod spec;
/// A running tree.
mod tree;

pub use beat::{heartbeat, ready};
pub use event::{ChildState, RunError, TreeEvent};
pub use spec::{ChildSpec, Restart, Strategy, Tree};
pub use tree::RunningTree;
