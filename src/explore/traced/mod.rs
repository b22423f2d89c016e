//! Any program, unmodified: its system calls on what its processes share are the steps.

mod calls;
mod engine;
mod limits;
mod machine;
mod objects;
mod outcome;
mod plan;
mod program;
mod ready;
mod scratch;
mod search;
mod signals;
mod system;
/// A schedule of a command as one word.
pub mod token;
mod waiting;
mod words;
mod world;

pub use engine::{Answer, EngineError, Task, carry_out};
pub use limits::{Command, Limits};
pub use machine::{Machine, TracedError};
pub use outcome::{End, Outcome, Waiting};
pub use scratch::{Entry, Kind, Limits as FolderLimits, ScratchError, Tree, read_tree};
pub use search::{Findings, Found, Search, WitnessStep};
