//! Worker processes that run jobs: results in order, every crash isolated.
//!
//! ```no_run
//! use proclab::pool::{JobError, Pool};
//!
//! fn divide(a: u64, b: u64) -> u64 {
//!     a / b
//! }
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     proclab::child_entry(); // a fresh copy of this program becomes a worker here
//!     let pool = Pool::new()?;
//!     assert_eq!(pool.submit(divide, (6, 3))?.result()?, 2);
//!     assert!(matches!(pool.submit(divide, (6, 0))?.result(), Err(JobError::Panicked(_))));
//!     Ok(())
//! }
//! ```
//!
//! # Implementation
//! Each worker shares memory with the pool: a ring of jobs, a ring of results, and a word in which it claims each job
//! before it runs it (`memory`). A result is published, by one store, before the next job is claimed. So when a worker
//! ends, at any instruction, the pool knows which one job is lost with it. The pool's thread (`keeper`) does
//! what is due (`dispatcher`), and otherwise sleeps on descriptors.
//!
//! Read the files in this order: the shared memory (`ring`, `memory`), what a job is (`job`, `bytes`, `sink`), the
//! worker's side (`worker`), the pool's side (`roster`, `dispatcher`, `keeper`), and then the public types.

/// Jobs in the order in which they complete.
mod as_completed;
/// The options of a pool.
mod builder;
/// Encoded values.
mod bytes;
/// Jobs that failed for good.
mod dead_letter;
/// Which jobs wait, and which worker has which job.
mod dispatcher;
/// The errors.
mod error;
/// A submitted job and its result.
mod handle;
/// A function and its arguments.
mod job;
/// The pool's thread.
mod keeper;
/// Many jobs of one function.
mod map;
/// What a worker shares with its pool.
mod memory;
#[expect(clippy::module_inception, reason = "the module is about pools, and this file is one")]
mod pool;
/// A stream of bytes through shared memory.
mod ring;
/// One worker as the pool sees it.
mod roster;
/// Where outcomes go.
mod sink;
/// The worker's side.
mod worker;

pub use as_completed::{AsCompleted, as_completed};
pub use builder::Builder;
pub use dead_letter::{DeadJob, MAX_DEAD_LETTERS};
pub use dispatcher::Progress;
pub use error::{BuildError, JobError, Lost, ResultTimeoutError, SubmitError};
pub use handle::JobHandle;
pub use job::JobOptions;
pub use map::{Map, MapUnordered};
pub use pool::Pool;
