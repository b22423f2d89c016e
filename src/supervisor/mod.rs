//! Supervisors: they own children, end them in order, and restart them if asked to.

/// The delay before a failed operation is tried again.
mod back_off;
/// Children that wait for their own parent.
mod idle;
/// Children that are restarted.
mod restart;
/// How children are ended.
mod shutdown;
#[expect(clippy::module_inception, reason = "the module is about supervisors, and this file is one")]
mod supervisor;

pub use back_off::BackOff;
pub use restart::{
    ChildSpec, ChildState, Restart, RunError, RunningTree, Strategy, Tree, TreeEvent, heartbeat, ready,
};
pub use shutdown::{Left, ShutdownError};
pub use supervisor::Supervisor;
