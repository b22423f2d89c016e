//! Any program, unmodified: its system calls on what its processes share are the steps.

mod assert;
mod calls;
mod engine;
mod follow;
mod free;
mod limits;
mod machine;
mod noise;
mod numbers;
mod objects;
mod outcome;
mod peek;
mod plan;
mod program;
mod progress;
mod ready;
mod scratch;
mod search;
mod shared;
mod signals;
mod stamps;
mod system;
/// A schedule of a command as one word.
pub mod token;
mod verdict;
mod waiting;
mod words;
mod world;

pub use assert::assert_every_interleaving;
pub use engine::{Answer, EngineError, Failure, Order, Reply, Task, carry_out};
pub use free::{Rates, Trials};
pub use limits::{Command, Limits};
pub use machine::{Machine, TracedError};
pub use noise::{Noise, NoiseRules};
pub use outcome::{End, Outcome, Output, Waiting};
pub use peek::{Next, Peeked};
pub use progress::Progress;
pub use scratch::{Entry, Kind, Limits as FolderLimits, ScratchError, Tree, read_tree};
pub use search::{Departure, Findings, Found, Sampler, Search, WitnessStep};
pub use verdict::{Checked, Criteria, Verdict};
