//! A watch: one program, or one process that runs already, with all its descendants, from now to its end.

mod attach;
mod hangs;
mod observed;
mod pace;
mod session;

pub use attach::{Start, WatchError, begin};
pub use hangs::Hang;
pub use observed::{Observed, origin_ns};
pub use session::{Subject, Watch};
