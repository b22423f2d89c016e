//! Enumerates the paths of one thread, as lists of its accesses.

use crate::sys::robust::ThisThread;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::sync::atomic::Ordering;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Read,
    Write,
    Fence,
}

/// The ordering of an access.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Orders {
    pub(crate) acquire: bool,
    pub(crate) release: bool,
    /// Whether an acquiring read is also ordered after earlier releasing writes (LDAR, unlike LDAPR).
    pub(crate) sequential: bool,
}

/// The position of an access in the code, and whether it is a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Site {
    pub(crate) file: &'static str,
    pub(crate) line: u32,
    pub(crate) writes: bool,
}

/// A dependency that orders an access after an earlier read of the same thread without a fence or an ordering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dependency {
    Address,
    Data,
    Control,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) kind: Kind,
    pub(crate) address: usize,
    pub(crate) value: u64,
    pub(crate) orders: Orders,
    /// Whether it is the write of a read-modify-write, whose read is the previous event.
    pub(crate) is_update: bool,
    pub(crate) depends: Vec<(usize, Dependency)>,
    pub(crate) barrier: Barrier,
    pub(super) site: Option<Site>,
}

/// The two halves of a barrier that one thread makes all others execute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Barrier {
    Own,
    Begin,
    End,
}

/// How a thread ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Returned(u64),
    /// It sleeps on the word at this address.
    Asleep(usize),
}

#[derive(Debug, Clone)]
pub(crate) struct Trace {
    pub(crate) events: Vec<Event>,
    pub(crate) end: End,
    /// The words on which it woke a sleeper.
    pub(crate) woken: Vec<usize>,
}

impl Trace {
    pub(crate) fn ordered_sites(&self) -> impl Iterator<Item = Site> {
        let ordered =
            |event: &&Event| event.orders.acquire || event.orders.release || event.kind == Kind::Fence;
        self.events.iter().filter(ordered).filter_map(|event| event.site)
    }
}

/// For each word its initial value, and the values that threads store to it, with these threads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Domain(BTreeMap<usize, (u64, BTreeMap<u64, BTreeSet<usize>>)>);

impl Domain {
    fn values(&mut self, word: Word) -> &mut (u64, BTreeMap<u64, BTreeSet<usize>>) {
        self.0.entry(word.address).or_insert_with(|| (word.now, BTreeMap::new()))
    }

    pub(crate) fn first(&self, address: usize) -> u64 {
        self.0[&address].0
    }
}

/// A word that is accessed, and its value in memory, which the model never changes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Word {
    pub(crate) address: usize,
    pub(crate) now: u64,
}

struct Recorder {
    thread: usize,
    events: Vec<Event>,
    woken: Vec<usize>,
    domain: Domain,
    /// For each load so far: the value that it returns, and those that it will return in later runs.
    choices: Vec<(u64, Vec<u64>)>,
    made: usize,
    depends: Vec<(usize, Dependency)>,
    controls: Vec<(usize, Dependency)>,
    weakened: Option<Site>,
    most_events: usize,
}

/// Why a run was stopped before it returned.
enum Stopped {
    Asleep(usize),
    TooLong,
}

thread_local! {
    static RECORDER: RefCell<Option<Recorder>> = const { RefCell::new(None) };
}

/// Runs `thread` once for each list of values that its loads may return.
pub(crate) fn every_trace(
    number: usize,
    thread: &dyn Fn() -> u64,
    (weakened, most_events): (Option<Site>, usize),
    domain: &mut Domain,
) -> Vec<Trace> {
    let (mut traces, mut choices) = (Vec::new(), Vec::new());
    loop {
        RECORDER.set(Some(Recorder {
            thread: number,
            events: Vec::new(),
            woken: Vec::new(),
            domain: std::mem::take(domain),
            choices,
            made: 0,
            depends: Vec::new(),
            controls: Vec::new(),
            weakened,
            most_events,
        }));
        // A run that was stopped may have left an announcement.
        ThisThread::get().expect("the kernel has robust futexes").forget_announced();
        let result = catch_unwind(AssertUnwindSafe(thread));
        // A stop puts the recorder aside, so that accesses during unwinding are not recorded.
        let recorder = RECORDER.take().or_else(|| PUT_ASIDE.take()).expect("it was set above");
        *domain = recorder.domain;
        choices = recorder.choices;
        let end = match result {
            Ok(value) => Some(End::Returned(value)),
            Err(payload) => match payload.downcast::<Stopped>().map(|stopped| *stopped) {
                Ok(Stopped::Asleep(address)) => Some(End::Asleep(address)),
                Ok(Stopped::TooLong) => None,
                Err(panic) => resume_unwind(panic),
            },
        };
        if let Some(end) = end {
            traces.push(Trace { events: recorder.events, end, woken: recorder.woken });
        }
        while choices.pop_if(|(_, others)| others.is_empty()).is_some() {}
        match choices.last_mut() {
            Some((value, others)) => *value = others.pop().expect("not empty"),
            None => return traces,
        }
    }
}

thread_local! {
    static PUT_ASIDE: RefCell<Option<Recorder>> = const { RefCell::new(None) };
}

fn stop(why: Stopped) -> ! {
    PUT_ASIDE.set(RECORDER.take());
    resume_unwind(Box::new(why))
}

fn with<R>(work: impl FnOnce(&mut Recorder) -> R) -> Option<R> {
    let (result, too_long) = RECORDER.with_borrow_mut(|recorder| {
        let recorder = recorder.as_mut()?;
        let result = work(recorder);
        Some((result, recorder.events.len() > recorder.most_events))
    })?;
    if too_long {
        stop(Stopped::TooLong);
    }
    Some(result)
}

impl Recorder {
    fn push(
        &mut self,
        kind: Kind,
        address: usize,
        value: u64,
        order: Ordering,
        caller: &'static Location<'static>,
    ) {
        let site = Site { file: caller.file(), line: caller.line(), writes: kind == Kind::Write };
        let order = if self.weakened == Some(site) { Ordering::Relaxed } else { order };
        if kind == Kind::Fence && order == Ordering::Relaxed {
            return;
        }
        let both = matches!(order, Ordering::AcqRel | Ordering::SeqCst);
        let orders = Orders {
            acquire: kind != Kind::Write && (both || order == Ordering::Acquire),
            release: kind != Kind::Read && (both || order == Ordering::Release),
            sequential: order == Ordering::SeqCst,
        };
        let mut depends = std::mem::take(&mut self.depends);
        if kind == Kind::Write {
            depends.extend(&self.controls);
        }
        let barrier = Barrier::Own;
        let site = Some(site);
        self.events.push(Event { kind, address, value, orders, is_update: false, depends, barrier, site });
    }

    fn choose(&mut self, word: Word) -> u64 {
        if self.made == self.choices.len() {
            let (first, stored) = self.domain.values(word).clone();
            let mut values = BTreeSet::from([first]);
            // This thread can load a value that only it stores only after it has stored it.
            let own = |value: u64| {
                let stores = |event: &Event| {
                    event.kind == Kind::Write && event.address == word.address && event.value == value
                };
                self.events.iter().any(stores)
            };
            values.extend(stored.iter().filter_map(|(value, by)| {
                (by.iter().any(|thread| *thread != self.thread) || own(*value)).then_some(*value)
            }));
            let chosen = values.pop_first().expect("the first value");
            self.choices.push((chosen, values.into_iter().collect()));
        }
        self.made += 1;
        self.choices[self.made - 1].0
    }

    fn write(&mut self, word: Word, value: u64, order: Ordering, caller: &'static Location<'static>) {
        let thread = self.thread;
        self.domain.values(word).1.entry(value).or_default().insert(thread);
        self.push(Kind::Write, word.address, value, order, caller);
    }

    fn read(&mut self, word: Word, order: Ordering, caller: &'static Location<'static>) -> u64 {
        let value = self.choose(word);
        self.push(Kind::Read, word.address, value, order, caller);
        value
    }
}

#[track_caller]
pub(crate) fn load(word: Word, order: Ordering) -> Option<u64> {
    let caller = Location::caller();
    with(|recorder| recorder.read(word, order, caller))
}

#[track_caller]
pub(crate) fn store(word: Word, value: u64, order: Ordering) -> bool {
    let caller = Location::caller();
    with(|recorder| recorder.write(word, value, order, caller)).is_some()
}

/// Records a read-modify-write. `new` computes the value to write from the value found. Returns the latter, and whether
/// anything was written.
#[track_caller]
pub(crate) fn update(
    word: Word,
    success: Ordering,
    failure: Ordering,
    new: impl FnOnce(u64) -> Option<u64>,
) -> Option<(u64, bool)> {
    let caller = Location::caller();
    with(|recorder| {
        let found = recorder.choose(word);
        let Some(value) = new(found) else {
            recorder.push(Kind::Read, word.address, found, failure, caller);
            return (found, false);
        };
        recorder.push(Kind::Read, word.address, found, success, caller);
        recorder.write(word, value, success, caller);
        recorder.events.last_mut().expect("just pushed").is_update = true;
        (found, true)
    })
}

#[track_caller]
pub(crate) fn fence(order: Ordering) -> bool {
    let caller = Location::caller();
    with(|recorder| recorder.push(Kind::Fence, 0, 0, order, caller)).is_some()
}

/// Records the kernel's side of `FUTEX_WAIT`: the sleeper is queued before the word is read.
#[track_caller]
pub(crate) fn wait(word: Word, expected: u64) -> bool {
    let caller = Location::caller();
    let sleeps = with(|recorder| {
        recorder.write(queue_of(word), 1, Ordering::Relaxed, caller);
        recorder.push(Kind::Fence, 0, 0, Ordering::SeqCst, caller);
        let sleeps = recorder.read(word, Ordering::Relaxed, caller) == expected;
        // The kernel's accesses cannot be weakened.
        recorder.events.iter_mut().rev().take(3).for_each(|event| event.site = None);
        sleeps
    });
    if sleeps == Some(true) {
        stop(Stopped::Asleep(word.address));
    }
    sleeps.is_some()
}

/// Records the kernel's side of `FUTEX_WAKE`.
#[track_caller]
pub(crate) fn wake(word: Word) -> bool {
    let caller = Location::caller();
    with(|recorder| {
        recorder.push(Kind::Fence, 0, 0, Ordering::SeqCst, caller);
        if recorder.read(queue_of(word), Ordering::Relaxed, caller) == 1 {
            recorder.woken.push(word.address);
        }
        recorder.events.iter_mut().rev().take(2).for_each(|event| event.site = None);
    })
    .is_some()
}

/// A separate word that says whether a thread is in the kernel's queue of `word`.
fn queue_of(word: Word) -> Word {
    Word { address: word.address + 1, now: 0 }
}

/// Records a barrier on all processors (`membarrier(2)`).
#[track_caller]
pub(crate) fn membarrier() -> bool {
    let caller = Location::caller();
    with(|recorder| {
        for barrier in [Barrier::Begin, Barrier::End] {
            let before = recorder.events.len();
            recorder.push(Kind::Fence, 0, 0, Ordering::SeqCst, caller);
            recorder.events[before..].iter_mut().for_each(|event| event.barrier = barrier);
        }
    })
    .is_some()
}

/// The thread that is being recorded.
pub(crate) fn thread() -> Option<usize> {
    with(|recorder| recorder.thread)
}

/// The index of the last recorded read, on which later accesses may depend.
pub(super) fn last_read() -> usize {
    with(|recorder| recorder.events.iter().rposition(|event| event.kind == Kind::Read))
        .flatten()
        .expect("the thread has read something")
}

/// Makes the next access depend on a read; for a control dependency, every later write.
pub(super) fn depend(on: usize, how: Dependency) {
    with(|recorder| match how {
        Dependency::Control => recorder.controls.push((on, how)),
        _ => recorder.depends.push((on, how)),
    });
}
