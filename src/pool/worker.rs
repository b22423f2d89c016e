//! The worker's side: it takes jobs from its ring, runs them, and publishes each result before it begins the next.
//!
//! # Safety
//! The initializer is called by its type, which was checked, and of which a value was given, where the pool was built.
#![expect(unsafe_code, reason = "the initializer is called by its type")]

use super::job::{Call, Kind, run_at};
use super::memory::{JOBS, Link, Memory, RESULTS, aligned};
use super::ring::{CAPACITY, Corrupt};
use crate::process::{Target, call_by_type};
use crate::sys::clock::monotonic_ns;
use crate::sys::resource::cpu_time;
use crate::sys::ticks::ticks;
use crate::sys::{limit, resource};

/// Bytes in front of a job: its length with flags, its function's place, its limit of processor time.
pub(super) const JOB_HEADER: u64 = 24;
/// Bytes in front of a result: its length with its kind.
pub(super) const RESULT_HEADER: u64 = 8;
/// The message goes on in the next record.
pub(super) const MORE: u32 = 1 << 8;
/// The time at which the job begins is wanted.
pub(super) const TIMED: u32 = 1 << 9;
/// Nothing more comes: the worker is to end.
pub(super) const LAST: u32 = 1 << 10;

/// The first word of a record: flags, then the length of what follows the header.
pub(super) fn header(flags: u32, len: usize) -> u64 {
    u64::from(flags) << 32 | len as u64
}

pub(super) fn flags_and_len(word: u64) -> (u32, usize) {
    ((word >> 32) as u32, word as u32 as usize)
}

/// How long a worker without a job looks for one before it sleeps, in ticks: 15 to 50 microseconds.
const BUDGET: u64 = 50_000;
/// Looks between two yields.
const LOOKS: u32 = 32;

/// The body of a worker's process.
pub(super) fn work<F, M>((link, args): (Link, F::Args))
where
    F: Target<M, Output = ()>,
    M: 'static,
{
    // Where the memory is unavailable the worker ends before it is ready, which the pool sees.
    let Ok(memory) = link.open() else { std::process::exit(1) };
    // SAFETY: `Builder::initializer` checked the type and was given a value of it.
    unsafe { call_by_type::<F, M>(args) };
    memory.set_ready();
    let mut worker = Worker { memory, head: 0, tail: 0, number: 0, limits_cpu: false };
    // The pool never writes this: the memory is corrupt.
    if worker.run_jobs().is_err() {
        std::process::exit(1);
    }
}

struct Worker {
    memory: Memory,
    /// Read up to here in the ring of jobs.
    head: u64,
    /// Written up to here in the ring of results.
    tail: u64,
    /// The next job's number.
    number: u32,
    limits_cpu: bool,
}

struct Head {
    flags: u32,
    place: u64,
    cpu_seconds: u64,
}

impl Worker {
    fn run_jobs(&mut self) -> Result<(), Corrupt> {
        let mut call = Call { args: Vec::new(), result: Vec::new(), kind: Kind::Returned };
        loop {
            call.args.clear();
            let head = self.next_job(&mut call.args)?;
            if head.flags & LAST != 0 {
                return Ok(());
            }
            let number = self.number;
            self.number = number.wrapping_add(1);
            let started = || if head.flags & TIMED != 0 { monotonic_ns() } else { 0 };
            if !self.memory.claim(number, started) {
                continue;
            }
            self.limit_cpu(head.cpu_seconds);
            call = run_at(head.place, call);
            self.send_result(call.kind, &call.result)?;
            // The buffer of one large message should not be kept forever.
            call.args.shrink_to(CAPACITY);
            call.result.shrink_to(CAPACITY);
        }
    }

    fn next_job(&mut self, args: &mut Vec<u8>) -> Result<Head, Corrupt> {
        loop {
            let readable = self.await_bytes()?;
            let region = &self.memory.region;
            let (flags, len) = flags_and_len(JOBS.word(region, self.head));
            let whole = JOB_HEADER + aligned(len);
            if readable < whole as usize {
                return Err(Corrupt);
            }
            let place = JOBS.word(region, self.head + 8);
            let cpu_seconds = JOBS.word(region, self.head + 16);
            JOBS.append_to(region, args, self.head + JOB_HEADER, len);
            self.head += whole;
            JOBS.free(region, self.head);
            if flags & MORE == 0 {
                return Ok(Head { flags, place, cpu_seconds });
            }
            // The pool may wait for the room.
            self.memory.ring_if_asleep();
        }
    }

    /// Waits until there is something to read.
    fn await_bytes(&self) -> Result<usize, Corrupt> {
        let region = &self.memory.region;
        let look = || JOBS.readable(region, self.head);
        let (begin, mut looks) = (ticks(), 0);
        loop {
            let readable = look()?;
            if readable > 0 {
                return Ok(readable);
            }
            looks += 1;
            if looks % LOOKS == 0 {
                if ticks().wrapping_sub(begin) > BUDGET {
                    self.memory.sleep_until(|| look() != Ok(0));
                }
                std::thread::yield_now();
            }
            std::hint::spin_loop();
        }
    }

    fn send_result(&mut self, kind: Kind, mut bytes: &[u8]) -> Result<(), Corrupt> {
        loop {
            let room = self.await_room(RESULT_HEADER as usize + aligned(bytes.len()) as usize)?;
            let piece = bytes.len().min(room - RESULT_HEADER as usize);
            let (now, later) = bytes.split_at(piece);
            let more = if later.is_empty() { 0 } else { MORE };
            let region = &self.memory.region;
            RESULTS.put_word(region, self.tail, header(kind.number() | more, piece));
            RESULTS.put(region, self.tail + RESULT_HEADER, now);
            self.tail += RESULT_HEADER + aligned(piece);
            RESULTS.publish(region, self.tail);
            self.memory.ring_if_asleep();
            if later.is_empty() {
                return Ok(());
            }
            bytes = later;
        }
    }

    /// Waits until there is room for `wanted` bytes, or for as much as half of the ring.
    fn await_room(&self, wanted: usize) -> Result<usize, Corrupt> {
        let enough = wanted.min(CAPACITY / 2);
        loop {
            let room = RESULTS.writable(&self.memory.region, self.tail)?;
            if room >= enough {
                return Ok(room);
            }
            let region = &self.memory.region;
            self.memory
                .sleep_until(|| RESULTS.writable(region, self.tail).map_or(true, |room| room >= enough));
        }
    }

    /// Limits what the next job may use to so many seconds more than this process has used.
    fn limit_cpu(&mut self, seconds: u64) {
        if seconds == 0 && !self.limits_cpu {
            return;
        }
        self.limits_cpu = seconds != 0;
        let hard = resource::hard_cpu_limit();
        let soft = match seconds {
            0 => hard,
            seconds => {
                let (user, kernel) = cpu_time().unwrap_or_default();
                // The kernel compares whole seconds.
                (user + kernel).as_secs().saturating_add(1).saturating_add(seconds).min(hard)
            }
        };
        // A soft limit up to the hard one is never refused.
        let _ = limit::set_limit(limit::Resource::Cpu, soft, hard);
    }
}
