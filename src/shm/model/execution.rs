//! The ways in which the accesses of several threads can be combined.

use super::axioms::Processor;
use super::recorder::{Barrier, Dependency, Domain, End, Event, Kind, Trace};
use std::collections::BTreeMap;

/// The outcome of an execution.
pub(crate) struct Outcome<'a> {
    traces: &'a [&'a Trace],
    /// The final value of each word; `None` while only the ends of the threads are known.
    last: Option<&'a BTreeMap<usize, u64>>,
}

impl Outcome<'_> {
    /// The value that a thread returned.
    pub(crate) fn returned(&self, thread: usize) -> Option<u64> {
        match self.traces[thread].end {
            End::Returned(value) => Some(value),
            End::Asleep(_) => None,
        }
    }

    /// Whether a thread sleeps and no other has woken it.
    pub(crate) fn sleeps_on(&self, thread: usize) -> bool {
        match self.traces[thread].end {
            End::Asleep(word) => !self.traces.iter().any(|trace| trace.woken.contains(&word)),
            End::Returned(_) => false,
        }
    }

    /// Whether the final value of the word at this address may be a wanted one.
    pub(crate) fn last_is(&self, address: usize, wanted: impl Fn(u64) -> bool) -> bool {
        self.last.is_none_or(|last| last.get(&address).copied().is_some_and(wanted))
    }
}

/// Whether a combination of traces, one per thread, has a possible execution with a wanted outcome.
pub(super) fn find(
    processor: Processor,
    threads: &[Vec<Trace>],
    domain: &Domain,
    wanted: &dyn Fn(&Outcome<'_>) -> bool,
) -> bool {
    let mut chosen = Vec::new();
    choose(processor, threads, domain, wanted, &mut chosen)
}

fn choose<'a>(
    processor: Processor,
    threads: &'a [Vec<Trace>],
    domain: &Domain,
    wanted: &dyn Fn(&Outcome<'_>) -> bool,
    chosen: &mut Vec<&'a Trace>,
) -> bool {
    let Some(traces) = threads.get(chosen.len()) else {
        return wanted(&Outcome { traces: chosen, last: None })
            && every_read_has_a_write(chosen, domain)
            && with_barriers(chosen, |events, marks| {
                Candidate::new(processor, chosen, events, marks, domain).is_possible(wanted)
            });
    };
    traces.iter().any(|trace| {
        chosen.push(trace);
        let found = choose(processor, threads, domain, wanted, chosen);
        chosen.pop();
        found
    })
}

fn every_read_has_a_write(traces: &[&Trace], domain: &Domain) -> bool {
    let events = || traces.iter().flat_map(|trace| &trace.events);
    let is_written = |read: &Event| {
        let writes = |event: &Event| {
            event.kind == Kind::Write && event.address == read.address && event.value == read.value
        };
        domain.first(read.address) == read.value || events().any(writes)
    };
    events().filter(|event| event.kind == Kind::Read).all(is_written)
}

/// A barrier that one thread executes on behalf of another: its position, and that of the caller's barrier.
type Mark = ((usize, usize), (usize, usize));

/// Calls `work` for every position, among the accesses of all other threads, of the barriers that one thread makes
/// them execute, until `work` returns true.
fn with_barriers(traces: &[&Trace], mut work: impl FnMut(&[Vec<Event>], &[Mark]) -> bool) -> bool {
    let events: Vec<Vec<Event>> = traces.iter().map(|trace| trace.events.clone()).collect();
    let mut calls = Vec::new();
    for (thread, list) in events.iter().enumerate() {
        let begins = (0..list.len()).filter(|at| list[*at].barrier == Barrier::Begin);
        calls.extend(begins.map(|at| (thread, at)));
    }
    let (caller, begin) = match calls[..] {
        [] => return work(&events, &[]),
        [call] => call,
        // Executions with several calls are skipped: a thread that goes to sleep again does so in a state in which it
        // might have started.
        _ => return false,
    };
    let fence = Event { barrier: Barrier::Own, ..events[caller][begin].clone() };
    // A barrier cannot be between the halves of a read-modify-write.
    let places = |thread: usize| -> Vec<usize> {
        let list = &events[thread];
        (0..=list.len()).filter(|at| list.get(*at).is_none_or(|event| !event.is_update)).collect()
    };
    let others: Vec<(usize, Vec<usize>)> =
        (0..events.len()).filter(|thread| *thread != caller).map(|thread| (thread, places(thread))).collect();
    let mut chosen = vec![0; others.len()];
    loop {
        let mut with_fences = events.clone();
        let mut marks = Vec::new();
        for ((thread, places), at) in others.iter().zip(&chosen) {
            with_fences[*thread].insert(places[*at], fence.clone());
            marks.push(((*thread, places[*at]), (caller, begin)));
        }
        if work(&with_fences, &marks) {
            return true;
        }
        let Some(next) = (0..chosen.len()).find(|at| chosen[*at] + 1 < others[*at].1.len()) else {
            return false;
        };
        chosen[..next].fill(0);
        chosen[next] += 1;
    }
}

/// A combination of traces, one per thread, in which the sources of the reads and the order of the writes are still to
/// be chosen.
struct Candidate<'a> {
    processor: Processor,
    traces: &'a [&'a Trace],
    events: Vec<Event>,
    thread: Vec<usize>,
    /// For each event, the set of events that it is ordered before.
    before: Vec<u64>,
    addresses: Vec<(usize, u64)>,
}

impl<'a> Candidate<'a> {
    fn new(
        processor: Processor,
        traces: &'a [&'a Trace],
        threads: &[Vec<Event>],
        marks: &[Mark],
        domain: &Domain,
    ) -> Self {
        let (mut events, mut thread, mut first) = (Vec::new(), Vec::new(), Vec::new());
        for (number, list) in threads.iter().enumerate() {
            first.push(events.len());
            events.extend(list.iter().cloned());
            thread.extend(list.iter().map(|_| number));
        }
        assert!(events.len() <= 64, "{} events", events.len());
        let mut before = vec![0_u64; events.len()];
        for (list, base) in threads.iter().zip(&first) {
            for second in 1..list.len() {
                for earlier in (0..second).filter(|earlier| processor.orders(list, *earlier, second)) {
                    before[base + earlier] |= 1 << (base + second);
                }
            }
        }
        for ((other, place), (caller, begin)) in marks {
            let (fence, begin) = (first[*other] + place, first[*caller] + begin);
            before[begin] |= 1 << fence;
            before[fence] |= 1 << (begin + 1);
        }
        let mut addresses: Vec<usize> =
            events.iter().filter(|event| event.kind != Kind::Fence).map(|event| event.address).collect();
        addresses.sort_unstable();
        addresses.dedup();
        let addresses = addresses.into_iter().map(|address| (address, domain.first(address))).collect();
        Candidate { processor, traces, events, thread, before, addresses }
    }

    fn is_possible(&self, wanted: &dyn Fn(&Outcome<'_>) -> bool) -> bool {
        self.extend(0, &self.before, &mut BTreeMap::new(), wanted)
    }

    /// Chooses for one word after another, starting with `word`.
    fn extend(
        &self,
        word: usize,
        before: &[u64],
        last: &mut BTreeMap<usize, u64>,
        wanted: &dyn Fn(&Outcome<'_>) -> bool,
    ) -> bool {
        if has_cycle(before) {
            return false;
        }
        let Some(&(address, first)) = self.addresses.get(word) else {
            return wanted(&Outcome { traces: self.traces, last: Some(last) });
        };
        let of = |kind| {
            let is = move |at: &usize| self.events[*at].kind == kind && self.events[*at].address == address;
            (0..self.events.len()).filter(is).collect::<Vec<_>>()
        };
        let (reads, mut writes) = (of(Kind::Read), of(Kind::Write));
        each_permutation(&mut writes, 0, &mut |writes| {
            if !self.is_coherent_order(writes) {
                return false;
            }
            last.insert(address, writes.last().map_or(first, |write| self.events[*write].value));
            self.choose_sources(&reads, writes, first, &mut Vec::new(), &mut |sources| {
                let mut before = before.to_vec();
                self.observe(&reads, writes, sources, &mut before);
                self.extend(word + 1, &before, last, wanted)
            })
        })
    }

    fn is_coherent_order(&self, writes: &[usize]) -> bool {
        (1..writes.len()).all(|second| {
            (0..second).all(|first| {
                self.thread[writes[first]] != self.thread[writes[second]] || writes[first] < writes[second]
            })
        })
    }

    /// Chooses for each read the write from which it reads, as an index in the order, from 1; 0 is the initial value.
    fn choose_sources(
        &self,
        reads: &[usize],
        writes: &[usize],
        first: u64,
        sources: &mut Vec<usize>,
        work: &mut dyn FnMut(&[usize]) -> bool,
    ) -> bool {
        let Some(&read) = reads.get(sources.len()) else { return work(sources) };
        let value = |place: usize| if place == 0 { first } else { self.events[writes[place - 1]].value };
        for source in 0..=writes.len() {
            if value(source) != self.events[read].value
                || !self.is_coherent_read(read, source, reads, writes, sources)
            {
                continue;
            }
            sources.push(source);
            let found = self.choose_sources(reads, writes, first, sources, work);
            sources.pop();
            if found {
                return true;
            }
        }
        false
    }

    fn is_coherent_read(
        &self,
        read: usize,
        source: usize,
        reads: &[usize],
        writes: &[usize],
        sources: &[usize],
    ) -> bool {
        let own = |event: &usize| self.thread[*event] == self.thread[read];
        let with_writes = writes.iter().enumerate().filter(|(_, write)| own(write)).all(|(at, write)| {
            if *write < read {
                at < source
            } else if *write == read + 1 && self.events[*write].is_update {
                // No write is between the halves of a read-modify-write.
                at == source
            } else {
                source <= at
            }
        });
        let with_reads = reads.iter().zip(sources).filter(|(earlier, _)| own(earlier));
        with_writes && with_reads.into_iter().all(|(_, earlier)| *earlier <= source)
    }

    /// Adds the orderings that threads observe through this word.
    fn observe(&self, reads: &[usize], writes: &[usize], sources: &[usize], before: &mut [u64]) {
        let external = |a: usize, b: usize| self.thread[a] != self.thread[b];
        for (read, source) in reads.iter().zip(sources) {
            if let Some(write) = source.checked_sub(1).map(|at| writes[at]) {
                if external(write, *read)
                    || self.processor.orders_own_read(&self.events[write], &self.events[*read])
                {
                    before[write] |= 1 << read;
                }
                if !external(write, *read) {
                    // (addr | data); rfi.
                    let base = self.thread.iter().position(|thread| *thread == self.thread[write]);
                    let depends =
                        self.events[write].depends.iter().filter(|(_, how)| *how != Dependency::Control);
                    for (on, _) in depends {
                        before[base.unwrap_or(0) + on] |= 1 << read;
                    }
                }
            }
            for write in writes[*source..].iter().filter(|write| external(**write, *read)) {
                before[*read] |= 1 << write;
            }
        }
        for second in 1..writes.len() {
            for first in (0..second).filter(|first| external(writes[*first], writes[second])) {
                before[writes[first]] |= 1 << writes[second];
            }
        }
    }
}

/// Calls `work` with each permutation of `items[from..]`, until it returns true.
fn each_permutation(items: &mut [usize], from: usize, work: &mut dyn FnMut(&[usize]) -> bool) -> bool {
    if from == items.len() {
        return work(items);
    }
    for at in from..items.len() {
        items.swap(from, at);
        let found = each_permutation(items, from + 1, work);
        items.swap(from, at);
        if found {
            return true;
        }
    }
    false
}

/// Removes events that no remaining event is ordered before. If some are left, there is a cycle.
fn has_cycle(before: &[u64]) -> bool {
    let mut left = if before.len() == 64 { u64::MAX } else { (1 << before.len()) - 1 };
    loop {
        let mut after = 0;
        (0..before.len()).filter(|at| left & (1 << at) != 0).for_each(|at| after |= before[at]);
        match left & after {
            0 => return false,
            next if next == left => return true,
            next => left = next,
        }
    }
}
