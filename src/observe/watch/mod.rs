//! A watch: a program, or a running process, with all its descendants, from now to its end.

mod attach;
mod breakers;
mod hangs;
mod observed;
mod pace;
mod session;

pub use attach::{Settings, Start, WatchError, begin};
pub use hangs::{Hang, HeldUp};
pub use observed::{Observed, Snapshot, origin_ns};
pub use session::{Subject, Watch};
