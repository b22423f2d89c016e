//! Which executions a processor may let a protocol have.
//!
//! A protocol is a few threads, each a closure that runs the *real* code: while [`recorder`] is at work, the
//! words of [`super::word`] are not read and written, but recorded. First every way is enumerated that each
//! thread can go, whatever values its loads return ([`recorder`]); then every way in which the loads and stores
//! of all threads may fit together ([`execution`]); and an execution is possible if the axioms of the
//! processor's memory model hold ([`axioms`]). [`litmus`] compares the models with what is known of them.
//!
//! Two things make the answer stronger than one processor needs: that the code *uses* a value is no reason for
//! an order, for a compiler need not keep dependencies; and a read-modify-write orders no more than its two
//! halves do.

mod axioms;
mod execution;
mod litmus;
pub(crate) mod recorder;

pub(crate) use axioms::Processor;
pub(crate) use execution::Outcome;
pub(crate) use recorder::Site;

use recorder::{Domain, Trace};
use std::collections::BTreeSet;

/// A value that arises only after this many hand-overs from thread to thread is left out.
const HAND_OVERS: usize = 4;

/// Threads that run at the same time.
pub(crate) struct Protocol<'a> {
    threads: Vec<&'a dyn Fn() -> u64>,
    processor: Processor,
    /// An access whose order is ignored.
    weakened: Option<Site>,
    most_events: usize,
}

impl<'a> Protocol<'a> {
    pub(crate) fn new(processor: Processor, threads: &[&'a dyn Fn() -> u64]) -> Self {
        Protocol { threads: threads.to_vec(), processor, weakened: None, most_events: 16 }
    }

    /// A thread that makes more accesses than this has gone round a loop, and is left out.
    pub(crate) fn most_events(mut self, count: usize) -> Self {
        self.most_events = count;
        self
    }

    /// Whether there is an execution with such an outcome.
    pub(crate) fn allows(&self, wanted: impl Fn(&Outcome<'_>) -> bool) -> bool {
        let (traces, domain) = self.traces();
        execution::find(self.processor, &traces, &domain, &wanted)
    }

    /// The accesses whose order is needed to rule out such an outcome: relaxed, each of them alone lets it happen.
    pub(crate) fn needed(&self, unwanted: impl Fn(&Outcome<'_>) -> bool) -> Vec<Site> {
        let sites: BTreeSet<Site> =
            self.traces().0.iter().flatten().flat_map(|trace| trace.ordered_sites()).collect();
        let lets_it_happen = |site: &Site| {
            let threads = self.threads.clone();
            Protocol { threads, weakened: Some(*site), ..*self }.allows(&unwanted)
        };
        sites.into_iter().filter(lets_it_happen).collect()
    }

    /// Every way that each thread can go. A value that is stored may be loaded, so this goes on until no run
    /// stores a new one, but not for ever: a counter that is loaded and raised again and again has no end.
    fn traces(&self) -> (Vec<Vec<Trace>>, Domain) {
        let mut domain = Domain::default();
        let mut traces = Vec::new();
        for _ in 0..HAND_OVERS {
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
