//! Real processes with the semantics of Python's `multiprocessing`: a body, its arguments, its end.

mod applied;
mod child;
#[cfg(any(feature = "explore", feature = "observe"))]
#[cfg_attr(
    not(feature = "observe"),
    expect(dead_code, unreachable_pub, reason = "the observer uses what the explorer does not")
)]
mod command;
#[cfg(feature = "cli")]
mod copy;
mod current;
mod entry;
mod error;
mod exit;
mod family;
#[cfg(feature = "cli")]
mod guarded;
mod handle;
mod inbox;
mod launch;
#[cfg(feature = "cli")]
mod leftovers;
mod lines;
mod live;
mod notify;
#[expect(
    clippy::module_inception,
    reason = "the module is about processes, and this file is the one that is to be started"
)]
mod process;
mod reap;
mod scratch;
mod settings;
mod start;
mod stdio;
mod target;
#[cfg(feature = "explore")]
mod traced;
mod unforked;
mod waitable;

pub use child::Child;
#[cfg(any(feature = "explore", feature = "observe"))]
pub(crate) use command::{CommandError, HeldCommand, RunningCommand};
#[cfg(feature = "cli")]
pub(crate) use copy::in_copy;
pub use current::{Current, Parent, current, parent};
pub use entry::child_entry;
pub(crate) use entry::{address_of_place, place_of_address};
#[cfg(feature = "explore")]
pub(crate) use error::chain;
pub use error::{JoinError, ResultError, StartError};
pub use exit::{Exit, Signal};
pub(crate) use family::Family;
#[cfg(feature = "cli")]
pub(crate) use guarded::{Guard, guarded};
pub use handle::Handle;
#[cfg(feature = "cli")]
pub(crate) use leftovers::end_descendants;
pub use lines::{Lines, OutputLine};
pub use live::Panic;
pub(crate) use live::panic_of;
pub(crate) use notify::notify;
pub use process::Process;
pub(crate) use reap::is_known;
pub use scratch::{Scratch, ScratchError};
pub(crate) use settings::{Settings, setting_methods};
pub use start::StartMethod;
pub(crate) use start::forkserver_settle;
pub use stdio::{ChildOutput, ChildStdin, Stdio, Stream};
pub use target::{ArgsMissing, Given, Run, Target};
pub(crate) use target::{call_by_type, check_captures_nothing};
#[cfg(feature = "explore")]
pub(crate) use traced::{in_namespace, start_traced};
