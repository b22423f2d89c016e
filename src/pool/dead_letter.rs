//! Jobs that failed for good.

use super::bytes::Bytes;
use super::error::JobError;
use crate::wire::codec::{self, DecodeError, Message};

/// The maximum number of dead letters that are kept; the oldest are dropped first.
pub const MAX_DEAD_LETTERS: usize = 1024;

/// A dead letter: a job whose attempts have all failed.
#[derive(Debug)]
#[non_exhaustive]
pub struct DeadJob {
    /// The name of its function.
    pub function: &'static str,
    /// The number of attempts.
    pub attempts: u32,
    /// Why the last attempt failed.
    pub error: JobError,
    args: Bytes,
}

impl DeadJob {
    pub(super) fn new(function: &'static str, attempts: u32, error: JobError, args: Bytes) -> DeadJob {
        DeadJob { function, attempts, error, args }
    }

    /// Its arguments, as they were submitted.
    ///
    /// ```no_run
    /// # use proclab::pool::Pool;
    /// # let pool = Pool::new()?;
    /// for dead in pool.take_dead_letters() {
    ///     println!("{} failed for {:?}", dead.function, dead.args::<(u64, u64)>()?);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When they are not an `A`.
    pub fn args<A: Message>(&self) -> Result<A, DecodeError> {
        codec::decode(self.args.as_slice())
    }
}
