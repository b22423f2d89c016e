//! Real processes with the semantics of Python's `multiprocessing`: a body, its arguments, its end.

mod child;
mod command;
mod current;
mod entry;
mod error;
mod exit;
mod family;
mod inbox;
mod live;
#[expect(
    clippy::module_inception,
    reason = "the module is about processes, and this file is the one that is to be started"
)]
mod process;
mod reap;
mod scratch;
mod start;
mod target;
mod traced;
mod unforked;
mod waitable;

pub use child::{Child, Handle};
pub(crate) use command::{CommandError, HeldCommand, RunningCommand};
pub use current::{Current, Parent, current, parent};
pub use entry::child_entry;
pub use error::{JoinError, ResultError, StartError};
pub use exit::{Exit, Signal};
pub(crate) use family::Family;
pub use live::Panic;
pub use process::Process;
pub(crate) use reap::is_known;
pub use scratch::{Scratch, ScratchError};
pub use start::StartMethod;
pub(crate) use start::forkserver_settle;
pub use target::{ArgsMissing, Given, Run, Target};
pub(crate) use traced::{in_namespace, start_traced};
