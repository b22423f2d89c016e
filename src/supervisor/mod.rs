//! Owners of children: the rules of daemons, and an end that leaves nothing behind.

mod idle;
mod shutdown;
#[expect(clippy::module_inception, reason = "the module is about supervisors, and this file is one")]
mod supervisor;

pub use shutdown::{Left, ShutdownError};
pub use supervisor::Supervisor;
