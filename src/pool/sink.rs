//! Where the outcomes of jobs go.

use super::bytes::Bytes;
use super::error::JobError;
use std::fmt::Debug;

/// What became of a job: its encoded result, or why there is none.
pub(super) type Outcome = Result<Bytes, JobError>;

/// Receives the outcomes of the jobs that were submitted with it.
pub(super) trait Sink: Debug + Send + Sync {
    /// Takes outcomes, each with its job's index. Called without any lock of the pool's.
    fn complete(&self, outcomes: &mut Vec<(u64, Outcome)>);

    /// Whether the outcome of a job that has not begun is still wanted.
    fn is_wanted(&self) -> bool;
}
