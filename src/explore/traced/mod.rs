//! Exploration of unmodified programs, whose system calls on shared objects are the steps.

mod arrivals;
mod assert;
mod calls;
mod checkpoint;
mod engine;
mod expiry;
mod findings;
mod follow;
mod free;
mod graph;
mod handlers;
mod jobs;
mod limits;
#[cfg(feature = "cli")]
mod lines;
mod loader;
mod machine;
mod noise;
mod numbers;
mod objects;
mod outcome;
mod peek;
mod plan;
mod program;
mod progress;
mod protection;
mod ready;
mod scratch;
mod search;
mod shared;
mod signals;
mod stamps;
mod system;
mod table;
/// Schedules of commands as tokens.
pub mod token;
mod verdict;
mod waiting;
mod witness;
mod words;
mod work;
mod world;

pub use assert::assert_every_interleaving;
pub use engine::{Answer, Ends, EngineError, Failure, Order, Reply, Task, carry_out};
pub use findings::{Departure, Findings, Found, KILL, Sampler, Search, WitnessStep};
pub use free::{Rates, Trials};
pub use graph::{GraphEdge, GraphGrowth, GraphNode, GraphOutcome};
pub use limits::{Command, Limits};
pub use machine::{Machine, TracedError};
pub use noise::{Noise, NoiseRules};
pub use outcome::{End, Outcome, Output, Waiting};
pub use peek::{Next, Peeked};
pub use progress::Progress;
pub use scratch::{Entry, Kind, Limits as FolderLimits, ScratchError, Tree, read_tree};
pub use search::Position;
pub use verdict::{Checked, Criteria, Verdict, Why};
