//! Both ends of each program as supervised processes, with what they are to say written down
//! beforehand: what crossed the wire is told and checked.

pub mod damage;
mod hard;
mod plays;
mod stage;

pub use stage::{DemoError, Entry, Stage, Staging};

/// A demo: it puts its ends on the stage and says what must have come of it.
pub type Play = fn(&mut Stage<'_>) -> Result<(), DemoError>;

/// Every demo by the name of its program, in the order in which one learns them.
pub const PLAYS: [(&str, Play); 8] = [
    ("chat", plays::chat),
    ("udp", plays::udp),
    ("sticky", plays::sticky),
    ("frames", plays::frames),
    ("file", hard::file),
    ("echo", plays::echo),
    ("upper", hard::upper),
    ("auth", hard::auth),
];
