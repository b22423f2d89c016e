//! A job: a function, as its place in the executable, and its encoded arguments.
//!
//! # Safety
//! A place is computed by the pool from a function of type `fn(Call) -> Call` and reaches the worker, which runs the same
//! executable, through memory that only the two of them map. Such a function is made only where a value of the type of
//! the job's body was given, and that type is checked to have no bytes.
#![expect(unsafe_code, reason = "a function is called by its place in the executable")]

use super::bytes::Bytes;
use super::sink::Sink;
use crate::process::{
    Panic, Target, address_of_place, call_by_type, check_captures_nothing, panic_of, place_of_address,
};
use crate::supervisor::BackOff;
use crate::sys::object;
use crate::wire::codec::{self, Message};
use std::any::type_name;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

/// How a job ended in a worker that lives on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The bytes are its result.
    Returned,
    /// The bytes are a [`Panic`].
    Panicked,
    /// The bytes are text: why the arguments or the result cannot be passed.
    Unreadable,
}

impl Kind {
    pub(super) fn number(self) -> u32 {
        match self {
            Kind::Returned => 0,
            Kind::Panicked => 1,
            Kind::Unreadable => 2,
        }
    }

    pub(super) fn from_number(number: u32) -> Option<Kind> {
        [Kind::Returned, Kind::Panicked, Kind::Unreadable].into_iter().find(|kind| kind.number() == number)
    }
}

/// A job as the worker runs it.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) args: Vec<u8>,
    pub(super) result: Vec<u8>,
    pub(super) kind: Kind,
}

/// What a job runs: found in the worker by its place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Function {
    pub(super) place: usize,
    pub(super) name: &'static str,
}

impl Function {
    /// The function `target`; `None` if it lies in a library.
    pub(super) fn of<F, M>(_: F) -> Option<Function>
    where
        F: Target<M>,
        F::Args: Message,
        F::Output: Message,
    {
        check_captures_nothing::<F>();
        let address = run::<F, M> as fn(Call) -> Call as usize;
        Some(Function { place: place_of(address)?, name: type_name::<F>() })
    }
}

/// The place of a function; the last one is remembered, for looking one up takes longer than a small job.
fn place_of(address: usize) -> Option<usize> {
    thread_local! {
        static LAST: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
    }
    let (last, place) = LAST.get();
    if last == address {
        return Some(place);
    }
    let place = place_of_address(address)?;
    LAST.set((address, place));
    Some(place)
}

/// Runs the job in the worker.
pub(super) fn run_at(place: u64, call: Call) -> Call {
    let address = address_of_place(place as usize);
    // SAFETY: the pool took the place of a `fn(Call) -> Call` in this executable.
    let function = unsafe { object::returning_function_at::<Call, Call>(address) };
    function(call)
}

fn run<F, M>(mut call: Call) -> Call
where
    F: Target<M>,
    F::Args: Message,
    F::Output: Message,
{
    let Call { args, result, kind } = &mut call;
    result.clear();
    *kind = match catch_unwind(AssertUnwindSafe(|| one::<F, M>(args, result))) {
        Ok(kind) => kind,
        Err(payload) => {
            result.clear();
            let panic: Panic = panic_of(&*payload);
            // A panic is text, which can always be encoded.
            let _ = codec::encode_into(&panic, result);
            Kind::Panicked
        }
    };
    call
}

fn one<F, M>(args: &[u8], result: &mut Vec<u8>) -> Kind
where
    F: Target<M>,
    F::Args: Message,
    F::Output: Message,
{
    let args = match codec::decode::<F::Args>(args) {
        Ok(args) => args,
        Err(error) => {
            result.extend_from_slice(error.to_string().as_bytes());
            return Kind::Unreadable;
        }
    };
    // SAFETY: `Function::of` checked the type and was given a value of it.
    let value = unsafe { call_by_type::<F, M>(args) };
    match codec::encode_into(&value, result) {
        Ok(_) => Kind::Returned,
        Err(error) => {
            result.clear();
            result.extend_from_slice(error.to_string().as_bytes());
            Kind::Unreadable
        }
    }
}

/// The options of a job.
///
/// ```
/// use proclab::pool::JobOptions;
/// use proclab::supervisor::BackOff;
/// use std::time::Duration;
///
/// let options = JobOptions::new()
///     .timeout(Duration::from_secs(10))
///     .retries(2, BackOff::new(Duration::from_millis(100), Duration::from_secs(1)));
/// # let _ = options;
/// ```
#[derive(Debug, Clone, Copy, Default)]
#[must_use = "options do nothing until a job is submitted with them"]
pub struct JobOptions {
    pub(super) timeout: Option<Duration>,
    pub(super) cpu_seconds: u32,
    pub(super) retries: u32,
    pub(super) back_off: BackOff,
}

impl JobOptions {
    /// No limits, and a single attempt.
    ///
    /// ```
    /// use proclab::pool::JobOptions;
    ///
    /// let options = JobOptions::new();
    /// # let _ = options;
    /// ```
    pub fn new() -> JobOptions {
        JobOptions::default()
    }

    /// Limits the run time of each attempt. After it the worker is killed, and the attempt fails with
    /// [`JobError::TimedOut`](super::JobError::TimedOut).
    ///
    /// ```
    /// use proclab::pool::JobOptions;
    /// use std::time::Duration;
    ///
    /// let options = JobOptions::new().timeout(Duration::from_secs(5));
    /// # let _ = options;
    /// ```
    pub fn timeout(mut self, timeout: Duration) -> JobOptions {
        self.timeout = Some(timeout);
        self
    }

    /// Limits the processor time of each attempt, in whole seconds, rounded up. After it `SIGXCPU` ends the worker
    /// (`RLIMIT_CPU`, `setrlimit(2)`).
    ///
    /// ```
    /// use proclab::pool::JobOptions;
    /// use std::time::Duration;
    ///
    /// let options = JobOptions::new().cpu_time(Duration::from_secs(2));
    /// # let _ = options;
    /// ```
    pub fn cpu_time(mut self, limit: Duration) -> JobOptions {
        let seconds = limit.as_secs() + u64::from(limit.subsec_nanos() > 0);
        self.cpu_seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
        self
    }

    /// Sets how often a job that panicked, timed out or lost its worker is tried again, and after which delay. It returns
    /// to the tail of the waiting jobs, so that it does not starve others.
    ///
    /// ```
    /// use proclab::pool::JobOptions;
    /// use proclab::supervisor::BackOff;
    /// use std::time::Duration;
    ///
    /// let back_off = BackOff::new(Duration::from_millis(100), Duration::from_secs(10));
    /// let options = JobOptions::new().retries(3, back_off);
    /// # let _ = options;
    /// ```
    pub fn retries(mut self, retries: u32, back_off: BackOff) -> JobOptions {
        self.retries = retries;
        self.back_off = back_off;
        self
    }
}

/// A job as the pool keeps it until it is done.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) function: Function,
    pub(super) args: Bytes,
    pub(super) options: JobOptions,
    /// Attempts that have begun and failed.
    pub(super) failures: u32,
    pub(super) sink: Arc<dyn Sink>,
    /// Its index among the jobs of the sink.
    pub(super) index: u64,
}
