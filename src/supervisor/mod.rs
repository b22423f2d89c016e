//! Owners of children: the rules of daemons, and an end that leaves nothing behind.

/// How long to wait before something that failed is tried again.
mod back_off;
/// Children that wait for their own parent.
mod idle;
/// Children that are started again.
mod restart;
/// The end of children.
mod shutdown;
#[expect(clippy::module_inception, reason = "the module is about supervisors, and this file is one")]
mod supervisor;

pub use back_off::BackOff;
pub use restart::{
    ChildSpec, ChildState, Event, Restart, RunError, RunningTree, Strategy, Tree, heartbeat, ready,
};
pub use shutdown::{Left, ShutdownError};
pub use supervisor::Supervisor;
