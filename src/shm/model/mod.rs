//! Enumerates the executions that a processor's memory model allows a protocol.
//!
//! A protocol is a few threads, each a closure that runs the *real* code: while [`recorder`] is active, accesses to
//! the words of [`super::word`] are recorded instead of executed. First, every path of each thread is enumerated, for
//! all values that its loads may return ([`recorder`]); then, every way in which the loads and stores of all threads
//! can be combined ([`execution`]). An execution is possible if it satisfies the axioms of the processor's memory model
//! ([`axioms`]). [`litmus`] compares the models with published results.
//!
//! The models are weaker than the processors in three respects, so they allow more executions: a dependency on a value
//! in the code does not order accesses, because a compiler need not preserve it; a read-modify-write orders no more than
//! its two halves do; and a `SeqCst` store on x86 is a plain store.

mod axioms;
mod execution;
mod litmus;
pub(crate) mod recorder;

pub(crate) use axioms::Processor;
pub(crate) use execution::Outcome;
pub(crate) use recorder::Site;

use recorder::{Domain, Trace};
use std::collections::BTreeSet;

/// Values that arise only after more hand-overs from thread to thread than this are not explored.
const MOST_HAND_OVERS: usize = 4;

/// Threads that run concurrently.
pub(crate) struct Protocol<'a> {
    threads: Vec<&'a dyn Fn() -> u64>,
    processor: Processor,
    /// An access that is treated as relaxed.
    weakened: Option<Site>,
    most_events: usize,
}

impl<'a> Protocol<'a> {
    pub(crate) fn new(processor: Processor, threads: &[&'a dyn Fn() -> u64]) -> Self {
        Protocol { threads: threads.to_vec(), processor, weakened: None, most_events: 16 }
    }

    /// Sets the maximum number of accesses per thread. A longer path is repeating a loop, and is skipped.
    pub(crate) fn most_events(mut self, count: usize) -> Self {
        self.most_events = count;
        self
    }

    /// Whether there is an execution with a wanted outcome.
    pub(crate) fn allows(&self, wanted: impl Fn(&Outcome<'_>) -> bool) -> bool {
        let (traces, domain) = self.traces();
        execution::find(self.processor, &traces, &domain, &wanted)
    }

    /// The accesses whose ordering is needed to rule out an unwanted outcome: if any one of them is relaxed, the
    /// outcome is possible.
    pub(crate) fn needed(&self, unwanted: impl Fn(&Outcome<'_>) -> bool) -> Vec<Site> {
        let sites: BTreeSet<Site> =
            self.traces().0.iter().flatten().flat_map(|trace| trace.ordered_sites()).collect();
        let is_needed = |site: &Site| {
            let threads = self.threads.clone();
            Protocol { threads, weakened: Some(*site), ..*self }.allows(&unwanted)
        };
        sites.into_iter().filter(is_needed).collect()
    }

    /// Every path of each thread. A stored value may be loaded, so this repeats until no run stores a new value, but at
    /// most [`MOST_HAND_OVERS`] times, because a counter that is repeatedly loaded and incremented never ends.
    fn traces(&self) -> (Vec<Vec<Trace>>, Domain) {
        let mut domain = Domain::default();
        let mut traces = Vec::new();
        for _ in 0..MOST_HAND_OVERS {
            let known = domain.clone();
            let threads = self.threads.iter().enumerate();
            traces = threads
                .map(|(number, thread)| {
                    let limits = (self.weakened, self.most_events);
                    recorder::every_trace(number, thread, limits, &mut domain)
                })
                .collect();
            if domain == known {
                break;
            }
        }
        (traces, domain)
    }
}
