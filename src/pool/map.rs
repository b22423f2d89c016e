//! Many jobs of one function, from an iterator and to an iterator.

use super::bytes::Bytes;
use super::error::JobError;
use super::handle::{decode, wait};
use super::job::{Function, Job, JobOptions};
use super::keeper::Shared;
use super::sink::{Outcome, Sink};
use crate::wire::codec::{self, Message};
use std::collections::VecDeque;
use std::fmt;
use std::iter::Fuse;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// Results that may wait for an earlier one, at least.
const REORDERED: usize = 1024;

/// Where the outcomes of a map arrive, in any order.
#[derive(Debug, Default)]
struct Tray {
    outcomes: Mutex<Vec<(u64, Outcome)>>,
    arrived: Condvar,
    /// The map was dropped, so jobs that have not begun are cancelled.
    is_dropped: AtomicBool,
}

impl Tray {
    fn take(&self, wait_for_one: bool) -> Vec<(u64, Outcome)> {
        let mut outcomes = self.outcomes.lock().unwrap_or_else(PoisonError::into_inner);
        while wait_for_one && outcomes.is_empty() {
            outcomes = wait(&self.arrived, outcomes, None).0;
        }
        std::mem::take(&mut outcomes)
    }
}

impl Sink for Tray {
    fn complete(&self, arrived: &mut Vec<(u64, Outcome)>) {
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner).append(arrived);
        self.arrived.notify_one();
    }

    fn is_wanted(&self) -> bool {
        !self.is_dropped.load(Ordering::Relaxed)
    }
}

/// Takes items as there is room for them, and submits them.
struct Feed<'pool, I: Iterator> {
    shared: &'pool Arc<Shared>,
    function: Result<Function, JobError>,
    options: JobOptions,
    items: Fuse<I>,
    tray: Arc<Tray>,
    submitted: u64,
    /// Submitted, and not arrived.
    under_way: usize,
}

impl<I: Iterator<Item: Message>> Feed<'_, I> {
    /// Submits items until as many are under way as are worth it, or `most`.
    fn top_up(&mut self, most: usize) -> Result<(), JobError> {
        let window = self.shared.dispatcher().window().min(most);
        if self.under_way > window / 2 {
            return Ok(());
        }
        let mut jobs = Vec::new();
        let mut buffer = Vec::new();
        while self.under_way + jobs.len() < window {
            let Some(item) = self.items.next() else { break };
            let function = self.function.clone()?;
            buffer.clear();
            let sink: Arc<dyn Sink> = self.tray.clone();
            let index = self.submitted;
            self.submitted += 1;
            match codec::encode_into(&item, &mut buffer) {
                Ok(_) => jobs.push(Job {
                    function,
                    args: Bytes::copy_of(&buffer),
                    options: self.options,
                    failures: 0,
                    sink,
                    index,
                }),
                Err(error) => {
                    self.under_way += 1;
                    sink.complete(&mut vec![(index, Err(JobError::Unreadable(error.to_string())))]);
                }
            }
        }
        if jobs.is_empty() {
            return Ok(());
        }
        let count = jobs.len();
        let is_timed = {
            let mut dispatcher = self.shared.dispatcher();
            if let Some(refusal) = dispatcher.refusal() {
                return Err(refusal);
            }
            jobs.into_iter().for_each(|job| dispatcher.add(job));
            dispatcher.dispatch()
        };
        self.under_way += count;
        if is_timed {
            self.shared.bell.ring();
        }
        Ok(())
    }

    /// Outcomes that have arrived; waits for one if there is nothing else to return and one will come.
    fn take(&mut self, wait_for_one: bool) -> Vec<(u64, Outcome)> {
        let arrived = self.tray.take(wait_for_one && self.under_way > 0);
        self.under_way -= arrived.len();
        arrived
    }
}

impl<I: Iterator> Drop for Feed<'_, I> {
    fn drop(&mut self) {
        self.tray.is_dropped.store(true, Ordering::Relaxed);
    }
}

fn feed<'pool, I: Iterator>(
    shared: &'pool Arc<Shared>,
    function: Result<Function, JobError>,
    options: JobOptions,
    items: I,
) -> Feed<'pool, I> {
    Feed { shared, function, options, items: items.fuse(), tray: Arc::default(), submitted: 0, under_way: 0 }
}

/// The results of [`Pool::map`](super::Pool::map), in the order of the items.
#[must_use = "a map is lazy: it submits items as its results are taken"]
pub struct Map<'pool, I: Iterator, T> {
    feed: Feed<'pool, I>,
    /// Outcomes from the next one on, where they have arrived.
    slots: VecDeque<Option<Outcome>>,
    next: u64,
    refusal: Option<JobError>,
    returns: PhantomData<fn() -> T>,
}

/// The results of [`Pool::map_unordered`](super::Pool::map_unordered), in the order of their arrival.
#[must_use = "a map is lazy: it submits items as its results are taken"]
pub struct MapUnordered<'pool, I: Iterator, T> {
    feed: Feed<'pool, I>,
    ready: VecDeque<(u64, Outcome)>,
    refusal: Option<JobError>,
    returns: PhantomData<fn() -> T>,
}

impl<'pool, I: Iterator, T> Map<'pool, I, T> {
    pub(super) fn new(
        shared: &'pool Arc<Shared>,
        function: Result<Function, JobError>,
        options: JobOptions,
        items: I,
    ) -> Self {
        let feed = feed(shared, function, options, items);
        Map { feed, slots: VecDeque::new(), next: 0, refusal: None, returns: PhantomData }
    }
}

impl<'pool, I: Iterator, T> MapUnordered<'pool, I, T> {
    pub(super) fn new(
        shared: &'pool Arc<Shared>,
        function: Result<Function, JobError>,
        options: JobOptions,
        items: I,
    ) -> Self {
        let feed = feed(shared, function, options, items);
        MapUnordered { feed, ready: VecDeque::new(), refusal: None, returns: PhantomData }
    }
}

impl<I: Iterator<Item: Message>, T: Message> Iterator for Map<'_, I, T> {
    type Item = Result<T, JobError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(Some(_)) = self.slots.front() {
                self.next += 1;
                let outcome = self.slots.pop_front().flatten()?;
                return Some(outcome.and_then(|bytes| decode(&bytes)));
            }
            if self.refusal.is_none() {
                // Results that wait for an earlier one take memory: not without bound.
                let most = (REORDERED + self.feed.under_way).saturating_sub(self.slots.len());
                self.refusal = self.feed.top_up(most.max(1)).err();
            }
            if self.feed.under_way == 0 {
                return self.refusal.take_if(|_| self.feed.submitted > 0 || self.next == 0).map(Err);
            }
            for (index, outcome) in self.feed.take(true) {
                let at = (index - self.next) as usize;
                if self.slots.len() <= at {
                    self.slots.resize_with(at + 1, || None);
                }
                self.slots[at] = Some(outcome);
            }
        }
    }
}

impl<I: Iterator<Item: Message>, T: Message> Iterator for MapUnordered<'_, I, T> {
    /// The index of the item, and its result.
    type Item = (u64, Result<T, JobError>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((index, outcome)) = self.ready.pop_front() {
                return Some((index, outcome.and_then(|bytes| decode(&bytes))));
            }
            if self.refusal.is_none() {
                self.refusal = self.feed.top_up(usize::MAX).err();
            }
            if self.feed.under_way == 0 {
                return self.refusal.take().map(|error| (self.feed.submitted, Err(error)));
            }
            self.ready.extend(self.feed.take(true));
        }
    }
}

impl<I: Iterator, T> fmt::Debug for Map<'_, I, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Map").field("submitted", &self.feed.submitted).finish_non_exhaustive()
    }
}

impl<I: Iterator, T> fmt::Debug for MapUnordered<'_, I, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapUnordered").field("submitted", &self.feed.submitted).finish_non_exhaustive()
    }
}
