//! Any program, unmodified: its system calls on what its processes share are the steps.

mod calls;
mod drive;
pub use drive::try_random;
mod limits;
mod machine;
mod objects;
mod outcome;
mod plan;
mod program;
mod scratch;
mod shim;
mod signals;
mod words;
mod world;

pub use limits::{Command, Limits};
pub use machine::{Machine, TracedError};
pub use outcome::{End, Outcome, Waiting};
pub use scratch::{Entry, Kind, Limits as FolderLimits, ScratchError, Tree, read_tree};
