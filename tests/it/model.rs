//! The ticket sale as a pure state machine, and a brute force over it.
//!
//! It shares no code with the explorer. The counts of real processes and of the engine are compared with it.

use std::collections::{BTreeMap, BTreeSet};

/// The parameters of a sale.
#[derive(Clone, Debug)]
pub(crate) struct Sale {
    pub(crate) buyers: usize,
    pub(crate) stock: i64,
    pub(crate) lock: Lock,
    pub(crate) search: bool,
    pub(crate) rename: bool,
    pub(crate) kills: usize,
}

/// The behaviour of a lock, regardless of its implementation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lock {
    /// No lock steps.
    None,
    /// One holder; released when the holder dies.
    Right,
    /// One holder; held forever when the holder dies.
    Abandoned,
    /// Every process gets it; the resource is shared.
    Broken,
    /// Each process has its own.
    Private,
    /// Released as soon as the holder has read, because the lock is on the data file.
    UntilRead,
    /// Correct, but taken after the read.
    ReadFirst,
    /// Correct, but taken twice.
    Twice,
    /// Reads a version and publishes the next one if that is still the newest; otherwise starts again.
    Swap,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Search,
    Lock,
    Read,
    Truncate,
    Write,
    Unlock,
}

#[derive(Clone, Debug, Default)]
struct Buyer {
    at: usize,
    read: i64,
    version: u64,
    sold: bool,
    torn: bool,
    dead: bool,
    ended: bool,
}

/// A state of the sale.
#[derive(Clone, Debug)]
pub(crate) struct State {
    sale: Sale,
    program: Vec<Op>,
    file: String,
    version: u64,
    holder: Option<usize>,
    buyers: Vec<Buyer>,
}

impl State {
    pub(crate) fn new(sale: &Sale) -> Self {
        let mut program = Vec::new();
        if sale.search {
            program.push(Op::Search);
        }
        match sale.lock {
            Lock::None | Lock::Swap => program.push(Op::Read),
            Lock::ReadFirst => program.extend([Op::Read, Op::Lock]),
            Lock::Twice => program.extend([Op::Lock, Op::Lock, Op::Read]),
            _ => program.extend([Op::Lock, Op::Read]),
        }
        if !sale.rename && sale.lock != Lock::Swap {
            program.push(Op::Truncate);
        }
        program.push(Op::Write);
        match sale.lock {
            Lock::None | Lock::Swap => {}
            Lock::Twice => program.extend([Op::Unlock, Op::Unlock]),
            _ => program.push(Op::Unlock),
        }
        Self {
            sale: sale.clone(),
            program,
            file: format!("{{\"count\": {}}}", sale.stock),
            version: 0,
            holder: None,
            buyers: vec![Buyer::default(); sale.buyers],
        }
    }

    fn count(&self) -> Option<i64> {
        self.file.strip_prefix("{\"count\": ")?.strip_suffix('}')?.parse().ok()
    }

    pub(crate) fn op(&self, buyer: usize) -> Option<Op> {
        let Buyer { at, ended, .. } = self.buyers[buyer];
        (!ended).then(|| self.program[at])
    }

    pub(crate) fn enabled(&self, buyer: usize) -> bool {
        match self.op(buyer) {
            None => false,
            Some(Op::Lock) => match self.sale.lock {
                Lock::Broken | Lock::Private => true,
                _ => self.holder.is_none(),
            },
            Some(_) => true,
        }
    }

    pub(crate) fn step(&mut self, buyer: usize) {
        let count = self.count();
        let op = self.op(buyer).expect("it has not ended");
        let me = &mut self.buyers[buyer];
        match op {
            Op::Search | Op::Read => match count {
                None => {
                    me.torn = true;
                    return self.end(buyer);
                }
                Some(count) if op == Op::Read => {
                    (me.read, me.version) = (count, self.version);
                    if self.sale.lock == Lock::UntilRead && self.holder == Some(buyer) {
                        self.holder = None;
                    }
                }
                Some(_) => {
                    // Opens and closes the data file before the lock is taken.
                }
            },
            Op::Lock => self.holder = Some(buyer),
            Op::Truncate => self.file.clear(),
            Op::Write => {
                if self.sale.lock == Lock::Swap && me.version != self.version {
                    me.at -= 1;
                    return;
                }
                self.version += 1;
                let left = if me.read > 0 { me.read - 1 } else { me.read };
                let text = format!("{{\"count\": {left}}}");
                if self.sale.rename || self.sale.lock == Lock::Swap || self.file.len() <= text.len() {
                    self.file = text;
                } else {
                    self.file.replace_range(..text.len(), &text);
                }
                me.sold = me.read > 0;
            }
            Op::Unlock => {
                if self.holder == Some(buyer) {
                    self.holder = None;
                }
            }
        }
        self.buyers[buyer].at += 1;
        if self.buyers[buyer].at == self.program.len() {
            self.end(buyer);
        }
    }

    fn end(&mut self, buyer: usize) {
        self.buyers[buyer].ended = true;
        if self.holder == Some(buyer) {
            self.holder = None;
        }
    }

    pub(crate) fn kill(&mut self, buyer: usize) {
        self.buyers[buyer].dead = true;
        self.buyers[buyer].ended = true;
        if self.holder == Some(buyer) && self.sale.lock != Lock::Abandoned {
            self.holder = None;
        }
    }

    pub(crate) fn verdict(&self) -> &'static str {
        let sold = self.buyers.iter().filter(|buyer| buyer.sold).count() as i64;
        if self.buyers.iter().any(|buyer| !buyer.ended) {
            "deadlock"
        } else if sold > self.sale.stock {
            "oversold"
        } else if self.count().is_some_and(|count| count != self.sale.stock - sold) {
            "lost-update"
        } else if self.count().is_none() || self.buyers.iter().any(|buyer| buyer.torn) {
            "torn-read"
        } else {
            "ok"
        }
    }

    /// The resource that a step of `buyer` touches, and whether it changes it.
    fn touches(&self, buyer: usize) -> (String, bool) {
        let lock = match self.sale.lock {
            Lock::UntilRead => "stock".to_owned(),
            Lock::Private => format!("lock of {buyer}"),
            _ => "lock".to_owned(),
        };
        match self.op(buyer).expect("it has not ended") {
            Op::Search | Op::Read => ("stock".to_owned(), false),
            Op::Truncate | Op::Write => ("stock".to_owned(), true),
            Op::Lock | Op::Unlock => (lock, true),
        }
    }
}

/// A schedule with its number of switches: for each step the process, and whether it is killed.
pub(crate) type Ranked = (usize, Vec<(usize, bool)>);

/// The number of interleavings per verdict, and their classes (without kills).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) schedules: u64,
    pub(crate) verdicts: BTreeMap<&'static str, u64>,
    pub(crate) classes: BTreeSet<Vec<usize>>,
    /// For each verdict the minimum (switches, schedule).
    pub(crate) shortest: BTreeMap<&'static str, Ranked>,
    limit: u64,
}

/// Counts all interleavings by cloning states.
pub(crate) fn brute_force(sale: &Sale) -> Counts {
    up_to(sale, u64::MAX)
}

pub(crate) fn up_to(sale: &Sale, limit: u64) -> Counts {
    let mut counts = Counts { limit, ..Counts::default() };
    descend(&State::new(sale), sale.kills, &mut Vec::new(), &mut counts);
    counts
}

type Step = (usize, bool, String, bool);

fn descend(state: &State, kills: usize, path: &mut Vec<Step>, counts: &mut Counts) {
    if counts.schedules > counts.limit {
        return;
    }
    let enabled: Vec<usize> = (0..state.buyers.len()).filter(|buyer| state.enabled(*buyer)).collect();
    if enabled.is_empty() {
        counts.schedules += 1;
        *counts.verdicts.entry(state.verdict()).or_default() += 1;
        if state.sale.kills == 0 {
            counts.classes.insert(normal_form(path));
        }
        let switches = path.windows(2).filter(|pair| pair[0].0 != pair[1].0).count();
        let shown = (switches, path.iter().map(|(who, kill, ..)| (*who, *kill)).collect::<Vec<_>>());
        let best = counts.shortest.entry(state.verdict()).or_insert_with(|| shown.clone());
        if shown < *best {
            *best = shown;
        }
        return;
    }
    for buyer in enabled {
        let (resource, writes) = state.touches(buyer);
        let mut next = state.clone();
        next.step(buyer);
        path.push((buyer, false, resource.clone(), writes));
        descend(&next, kills, path, counts);
        path.pop();
        if kills > 0 {
            let mut next = state.clone();
            next.kill(buyer);
            path.push((buyer, true, resource, writes));
            descend(&next, kills - 1, path, counts);
            path.pop();
        }
    }
}

/// The least schedule that is reached by swapping adjacent independent steps.
///
/// Repeatedly takes the lowest process whose first remaining step depends on no earlier remaining one.
fn normal_form(path: &[Step]) -> Vec<usize> {
    let mut rest: Vec<&Step> = path.iter().collect();
    let mut form = Vec::new();
    while !rest.is_empty() {
        let free = |at: &usize| {
            let (who, _, resource, writes) = rest[*at];
            rest[..*at].iter().all(|(w, _, r, also)| w != who && (r != resource || !(*writes || *also)))
        };
        let at = (0..rest.len()).filter(free).min_by_key(|at| rest[*at].0).expect("the first is free");
        form.push(rest.remove(at).0);
    }
    form
}
