//! One worker as the pool sees it: which jobs it was given, and what it has published.

use super::bytes::Bytes;
use super::error::JobError;
use super::job::{Job, Kind};
use super::memory::{JOBS, Memory, RESULTS, aligned};
use super::ring::{CAPACITY, Corrupt};
use super::sink::Outcome;
use super::worker::{JOB_HEADER, LAST, MORE, RESULT_HEADER, TIMED, flags_and_len, header};
use crate::process::{Child, Panic};
use crate::wire::codec;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// A worker that has been started.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) child: Child<()>,
    memory: Memory,
    /// Written up to here in its ring of jobs.
    tail: u64,
    /// Read up to here in its ring of results.
    head: u64,
    /// The jobs that it was given and whose results have not come, oldest first.
    pub(super) given: VecDeque<Given>,
    /// The number of the next job that it is given.
    next: u32,
    /// What is left to be written.
    rest: Rest,
    /// The result that comes in pieces, as far as it has come.
    partial: Vec<u8>,
    /// Jobs that it may still be given, if it is replaced after a number of them.
    pub(super) jobs_left: Option<u64>,
    /// It has been told to end.
    pub(super) is_leaving: bool,
    /// The limit that the job it runs has exceeded, for which it was killed.
    pub(super) exceeded: Option<Duration>,
    /// Since when it has worked without a result.
    pub(super) busy_since: Instant,
    /// The number of the job that it had begun when it was looked at last.
    pub(super) seen_begun: u32,
}

/// A job that a worker was given, and its number there. Numbers are not contiguous: some may have been taken back.
#[derive(Debug)]
pub(super) struct Given {
    number: u32,
    pub(super) job: Job,
}

/// What could not be written to a worker's ring yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    Nothing,
    /// The bytes from here of the job that was given last.
    Job(usize),
    /// The end of a job that was taken back while it was written.
    End,
}

impl Worker {
    pub(super) fn new(child: Child<()>, memory: Memory, jobs_left: Option<u64>) -> Worker {
        Worker {
            child,
            memory,
            tail: 0,
            head: 0,
            given: VecDeque::new(),
            next: 0,
            rest: Rest::Nothing,
            partial: Vec::new(),
            jobs_left,
            is_leaving: false,
            exceeded: None,
            busy_since: Instant::now(),
            seen_begun: 0,
        }
    }

    pub(super) fn is_ready(&self) -> bool {
        self.memory.is_ready()
    }

    pub(super) fn note_pool_asleep(&self, asleep: bool) {
        self.memory.note_pool_asleep(asleep);
    }

    /// Whether it can be given a job.
    pub(super) fn has_room(&self, allowed: usize) -> bool {
        !self.is_leaving
            && self.exceeded.is_none()
            && self.rest == Rest::Nothing
            && self.jobs_left != Some(0)
            && self.given.len() < allowed
            && self.room() >= CAPACITY / 4
    }

    fn room(&self) -> usize {
        // Where its memory is corrupt it is found so when its results are read.
        JOBS.writable(&self.memory.region, self.tail).unwrap_or(0)
    }

    /// Gives it a job; [`Worker::wake`] has to follow.
    pub(super) fn give(&mut self, job: Job) {
        if self.given.is_empty() {
            self.busy_since = Instant::now();
        }
        self.given.push_back(Given { number: self.next, job });
        // Numbers wrap around, so what is skipped must not fall too far behind: all below the first are done.
        if self.next.is_multiple_of(1 << 30) {
            self.memory.revoke(self.given[0].number);
        }
        self.next = self.next.wrapping_add(1);
        self.jobs_left = self.jobs_left.map(|left| left - 1);
        self.rest = Rest::Job(0);
        self.write_rest();
    }

    /// Writes on, if something was left.
    pub(super) fn resume(&mut self) {
        if self.rest != Rest::Nothing {
            self.write_rest();
            self.memory.wake_worker();
        }
    }

    /// Writes as much of what is left as there is room for: a long job goes in pieces.
    fn write_rest(&mut self) {
        let mut written = match self.rest {
            Rest::Nothing => return,
            Rest::Job(written) => written,
            Rest::End => {
                if self.room() >= JOB_HEADER as usize {
                    self.write_record(0, [0, 0], &[]);
                    self.rest = Rest::Nothing;
                }
                return;
            }
        };
        let Some(given) = self.given.pop_back() else { return };
        let job = &given.job;
        let bytes = job.args.as_slice();
        loop {
            let (left, room) = (bytes.len() - written, self.room());
            if room < (JOB_HEADER as usize + aligned(left) as usize).min(CAPACITY / 4) {
                self.rest = Rest::Job(written);
                break;
            }
            let piece = left.min((room - JOB_HEADER as usize) & !7);
            let timed = if job.options.timeout.is_some() { TIMED } else { 0 };
            let flags = timed | if piece < left { MORE } else { 0 };
            let words = [job.function.place as u64, job.options.cpu_seconds.into()];
            self.write_record(flags, words, &bytes[written..written + piece]);
            written += piece;
            if written == bytes.len() {
                self.rest = Rest::Nothing;
                break;
            }
        }
        self.given.push_back(given);
    }

    fn write_record(&mut self, flags: u32, words: [u64; 2], bytes: &[u8]) {
        let region = &self.memory.region;
        JOBS.put_word(region, self.tail, header(flags, bytes.len()));
        JOBS.put_word(region, self.tail + 8, words[0]);
        JOBS.put_word(region, self.tail + 16, words[1]);
        JOBS.put(region, self.tail + JOB_HEADER, bytes);
        self.tail += JOB_HEADER + aligned(bytes.len());
        JOBS.publish(region, self.tail);
    }

    /// Wakes it after it was given jobs, or room for results.
    pub(super) fn wake(&self) {
        self.memory.wake_worker();
    }

    /// Tells it to end once it has done what it was given.
    pub(super) fn dismiss(&mut self) {
        if !self.is_leaving && self.rest == Rest::Nothing && self.room() >= JOB_HEADER as usize {
            self.write_record(LAST, [0, 0], &[]);
            self.is_leaving = true;
            self.memory.wake_worker();
        }
    }

    /// Whether a result, or a part of one, is there.
    pub(super) fn has_results(&self) -> bool {
        RESULTS.readable(&self.memory.region, self.head) != Ok(0)
    }

    /// Whether it waits for nothing but room that it has got: the rest of a job can be written.
    pub(super) fn can_write_rest(&self) -> bool {
        self.rest != Rest::Nothing && self.room() >= CAPACITY / 4
    }

    /// Takes the results that are there: each job, and its outcome.
    ///
    /// # Errors
    /// [`Corrupt`]: it has overwritten its memory.
    pub(super) fn take_results(&mut self, mut each: impl FnMut(Job, Outcome)) -> Result<usize, Corrupt> {
        let mut readable = RESULTS.readable(&self.memory.region, self.head)?;
        let mut taken = 0;
        let before = self.head;
        while readable > 0 {
            let region = &self.memory.region;
            let (flags, len) = flags_and_len(RESULTS.word(region, self.head));
            let whole = (RESULT_HEADER + aligned(len)) as usize;
            if whole > readable {
                return Err(Corrupt);
            }
            RESULTS.append_to(region, &mut self.partial, self.head + RESULT_HEADER, len);
            self.head += whole as u64;
            readable -= whole;
            if flags & MORE == 0 {
                let kind = Kind::from_number(flags & 0xFF).ok_or(Corrupt)?;
                let job = self.given.pop_front().ok_or(Corrupt)?.job;
                each(job, outcome(kind, &mut self.partial));
                self.partial.clear();
                taken += 1;
            }
        }
        if self.head != before {
            RESULTS.free(&self.memory.region, self.head);
            // It may wait for the room.
            self.memory.wake_worker();
        }
        Ok(taken)
    }

    /// The jobs that it was given and has not begun, which it now never will; oldest first.
    pub(super) fn take_back(&mut self) -> VecDeque<Given> {
        let begun = self.memory.revoke(self.next);
        // Results that are published and not taken yet belong to jobs below.
        let kept = self.given.iter().take_while(|given| is_below(given.number, begun)).count();
        let back = self.given.split_off(kept);
        if !back.is_empty() && matches!(self.rest, Rest::Job(_)) {
            // Its record must end, for others may follow.
            self.rest = Rest::End;
            self.write_rest();
        }
        if let Some(left) = &mut self.jobs_left {
            *left += back.len() as u64;
        }
        back
    }

    /// The job that it has begun and not done, if it is timed: since when it runs, in nanoseconds.
    pub(super) fn running_timed(&self) -> Option<(Duration, u64)> {
        let front = self.given.front()?;
        let limit = front.job.options.timeout?;
        let is_running = self.memory.state().begun == front.number.wrapping_add(1);
        is_running.then(|| (limit, self.memory.started_ns()))
    }

    /// Whether it has begun the oldest job that it was given, and how many it has begun in all.
    pub(super) fn begun(&self) -> (bool, u32) {
        let begun = self.memory.state().begun;
        (self.given.front().is_some_and(|front| is_below(front.number, begun)), begun)
    }
}

/// Whether a job's number is below another: both grow, and wrap around.
fn is_below(number: u32, other: u32) -> bool {
    number.wrapping_sub(other).cast_signed() < 0
}

fn outcome(kind: Kind, bytes: &mut Vec<u8>) -> Outcome {
    match kind {
        Kind::Returned if bytes.len() > CAPACITY / 16 => Ok(Bytes::Large(std::mem::take(bytes))),
        Kind::Returned => Ok(Bytes::copy_of(bytes)),
        Kind::Panicked => Err(match codec::decode::<Panic>(bytes) {
            Ok(panic) => JobError::Panicked(panic),
            Err(error) => JobError::Unreadable(error.to_string()),
        }),
        Kind::Unreadable => Err(JobError::Unreadable(String::from_utf8_lossy(bytes).into_owned())),
    }
}
