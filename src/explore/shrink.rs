//! Which witness is the shortest: fewest switches, then fewest preemptions, then lexicographic.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::engine::{Held, Trace};
use super::reduce::{Cut, Order};
use super::step::{Access, Choice, Event, Step};

/// How hard a schedule is to follow.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cost {
    /// How often the next step belongs to another process.
    pub switches: usize,
    /// Switches away from a process that could have gone on: it has not ended, and does not wait
    /// at a lock that somebody has taken.
    pub preemptions: usize,
    /// The schedule itself, to compare what is otherwise equal.
    pub choices: Vec<Choice>,
}

impl Cost {
    /// The cost of `trace`.
    pub fn of(trace: &Trace) -> Self {
        let mut cost = Self { choices: trace.choices(), ..Self::default() };
        let mut held = Held::new(trace.stuck.len());
        for (position, event) in trace.events.iter().enumerate() {
            if position > 0 {
                let previous = trace.events[position - 1].choice.index();
                if previous != event.choice.index() {
                    cost.switches += 1;
                    let next = trace.events[position..].iter().find(|e| e.choice.index() == previous);
                    let next = next.map(|event| event.step).or(trace.stuck[previous]);
                    cost.preemptions += usize::from(could_go_on(next, &held));
                }
            }
            held.note(event);
        }
        cost
    }
}

fn could_go_on(next: Option<Step>, held: &Held) -> bool {
    next.is_some_and(|step| step.access != Access::Acquire || !held.by_anybody(step.resource))
}

/// The shortest schedule of the class of `trace`, found without running it.
///
/// Dynamic programming over how far each process has come and who went last.
pub fn shortest(trace: &Trace) -> Trace {
    let order = Order::new(&trace.events);
    let mut search = Search { order, trace, best: HashMap::new() };
    let mut cut = search.order.bottom();
    let mut last = None;
    let mut events: Vec<Event> = Vec::with_capacity(trace.events.len());
    while let (_, _, Some(event)) = search.best(&cut, last) {
        cut[event.choice.index()] += 1;
        last = Some(event.choice.index());
        events.push(event.clone());
    }
    Trace { events, stuck: trace.stuck.clone() }
}

struct Search<'a> {
    order: Order<'a>,
    trace: &'a Trace,
    best: HashMap<(Cut, Option<usize>), Best<'a>>,
}

/// Fewest switches, fewest preemptions, and the event that comes first on that way.
type Best<'a> = (usize, usize, Option<&'a Event>);

impl<'a> Search<'a> {
    /// The fewest switches and preemptions from here to the end, and the first event on that way;
    /// among equals the first in lexicographic order.
    fn best(&mut self, cut: &Cut, last: Option<usize>) -> Best<'a> {
        if let Some(known) = self.best.get(&(cut.clone(), last)) {
            return *known;
        }
        let next: Vec<&'a Event> = self.order.next(cut).collect();
        let preempted = last.is_some_and(|last| {
            let next = self.order.upcoming(cut, last).map(|event| event.step);
            could_go_on(next.or(self.trace.stuck[last]), &self.held(cut))
        });
        let mut best = None;
        for event in next {
            let process = event.choice.index();
            let mut after = cut.clone();
            after[process] += 1;
            let (mut switches, mut preemptions, _) = self.best(&after, Some(process));
            if last.is_some_and(|last| last != process) {
                switches += 1;
                preemptions += usize::from(preempted);
            }
            // Events come in the order of processes, so the first of equals is kept.
            if best.is_none_or(|(s, p, _)| (switches, preemptions) < (s, p)) {
                best = Some((switches, preemptions, Some(event)));
            }
        }
        let best = best.unwrap_or((0, 0, None));
        self.best.insert((cut.clone(), last), best);
        best
    }

    /// Who holds what at `cut`. The order of lock operations on one lock is the same in the whole
    /// class, so any order of the events below the cut tells.
    fn held(&self, cut: &Cut) -> Held {
        let mut held = Held::new(self.trace.stuck.len());
        let mut left = cut.clone();
        for event in &self.trace.events {
            let mine = &mut left[event.choice.index()];
            if *mine > 0 {
                *mine -= 1;
                held.note(event);
            }
        }
        held
    }
}
