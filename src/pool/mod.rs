//! Work handed to processes: results in order, every crash isolated.
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
//! # How it is kept
//! Each worker shares memory with the pool: a ring of jobs, a ring of results, and a word in which it claims each job
//! before it runs it (`memory`). A result is published, by one store, before the next job is claimed. So when a worker
//! ends, at any instruction, the pool knows which one job is lost with it. A thread of the pool's (`keeper`) does all
//! that is to be done (`dispatcher`), and sleeps on descriptors otherwise.
//!
//! The files read in this order: the shared memory (`ring`, `memory`), what a job is (`job`, `bytes`, `sink`), the
//! worker's side (`worker`), the pool's side (`roster`, `dispatcher`, `keeper`), and then what its user holds.

/// Jobs in the order in which they are done.
mod as_completed;
/// How a pool is made.
mod builder;
/// Encoded values.
mod bytes;
/// Jobs that are not tried any more.
mod dead_letter;
/// What waits, who works on what.
mod dispatcher;
/// The errors.
mod error;
/// The result of a job.
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
pub use dead_letter::{DeadLetter, MAX_DEAD_LETTERS};
pub use dispatcher::Progress;
pub use error::{BuildError, JobError, Lost, ResultTimeoutError, SubmitError};
pub use handle::JobHandle;
pub use job::JobOptions;
pub use map::{Map, MapUnordered};
pub use pool::Pool;
