//! The shortest witness: fewest switches, then fewest preemptions, then first in lexicographic order.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::engine::Trace;
use super::holders::Holders;
use super::reduce::{Cut, MAX_CUTS, Order};
use super::step::{Access, Choice, Event, Step};

/// How hard a schedule is to follow. Costs are compared field by field.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cost {
    /// The number of times the next step belongs to another process.
    pub switches: usize,
    /// The number of switches away from a process that could have continued: it has not ended, and does not wait for a
    /// held lock.
    pub preemptions: usize,
    /// The schedule itself, which breaks ties.
    pub choices: Vec<Choice>,
}

impl Cost {
    /// The cost of `trace`.
    pub fn of(trace: &Trace) -> Self {
        let mut cost = Self { choices: trace.choices(), ..Self::default() };
        let mut held = Holders::default();
        for (position, event) in trace.events.iter().enumerate() {
            if position > 0 {
                let previous = trace.events[position - 1].choice.index();
                if previous != event.choice.index() {
                    cost.switches += 1;
                    let next = trace.events[position..].iter().find(|e| e.choice.index() == previous);
                    let next = next.map(|event| &event.step).or(trace.stuck[previous].as_ref());
                    cost.preemptions += usize::from(could_continue(next, &held));
                }
            }
            held.record(event);
        }
        cost
    }
}

fn could_continue(next: Option<&Step>, held: &Holders) -> bool {
    next.is_some_and(|step| {
        !step.touches().any(|its| its.access == Access::Acquire && held.is_held(its.object))
    })
}

/// The shortest schedule of the class of `trace`, found without executing it.
///
/// It is found by dynamic programming over the progress of each task and the task that ran last. If that takes too many
/// states, each task runs as long as it can, and the result is the better of that schedule and `trace`.
pub fn shortest(trace: &Trace) -> Trace {
    let order = Order::new(&trace.events);
    let mut search = Search { order, trace, best: HashMap::new() };
    let mut cut = search.order.bottom();
    let mut last = None;
    let mut events: Vec<Event> = Vec::with_capacity(trace.events.len());
    let small = trace.events.len() <= MAX_EVENTS && search.best(&cut, last).is_some();
    loop {
        let event =
            if small { search.best(&cut, last).and_then(|best| best.2) } else { search.greedy(&cut, last) };
        let Some(event) = event else { break };
        search.order.advance(&mut cut, event);
        last = Some(event.choice.index());
        events.push(event.clone());
    }
    let found = Trace { events, ..trace.clone() };
    if small || Cost::of(&found) < Cost::of(trace) { found } else { trace.clone() }
}

/// The longest schedule that is shortened by dynamic programming, which recurses once per event.
const MAX_EVENTS: usize = 1_000;

struct Search<'a> {
    order: Order<'a>,
    trace: &'a Trace,
    best: HashMap<(Cut, Option<usize>), Best<'a>>,
}

/// The fewest switches, then the fewest preemptions, and the first event of such a schedule.
type Best<'a> = (usize, usize, Option<&'a Event>);

impl<'a> Search<'a> {
    /// The fewest switches and preemptions from here to the end, and the first event of such a schedule, the first in
    /// lexicographic order. `None` if there are too many cuts.
    fn best(&mut self, cut: &Cut, last: Option<usize>) -> Option<Best<'a>> {
        if let Some(known) = self.best.get(&(cut.clone(), last)) {
            return Some(*known);
        }
        if self.best.len() >= MAX_CUTS {
            return None;
        }
        let next: Vec<&'a Event> = self.order.next(cut).collect();
        let preempted = last.is_some_and(|last| {
            let next = self.order.upcoming(cut, last).map(|event| &event.step);
            let next = next.or(self.trace.stuck[last].as_ref());
            // Most steps acquire nothing, and who holds what is costly to find.
            let acquires = next.is_some_and(|step| step.touches().any(|its| its.access == Access::Acquire));
            next.is_some() && (!acquires || could_continue(next, &self.held(cut)))
        });
        let mut best = None;
        for event in next {
            let task = event.choice.index();
            let mut after = cut.clone();
            self.order.advance(&mut after, event);
            let (mut switches, mut preemptions, _) = self.best(&after, Some(task))?;
            if last.is_some_and(|last| last != task) {
                switches += 1;
                preemptions += usize::from(preempted);
            }
            // Events are in the order of tasks, so the first of equally good ones is kept.
            if best.is_none_or(|(s, p, _)| (switches, preemptions) < (s, p)) {
                best = Some((switches, preemptions, Some(event)));
            }
        }
        let best = best.unwrap_or((0, 0, None));
        self.best.insert((cut.clone(), last), best);
        Some(best)
    }

    /// The next event of the task that ran last, if it can be next; otherwise of the first task that can.
    fn greedy(&self, cut: &Cut, last: Option<usize>) -> Option<&'a Event> {
        let same = self.order.next(cut).find(|event| Some(event.choice.index()) == last);
        same.or_else(|| self.order.next(cut).next())
    }

    /// The holders of locks at `cut`. The operations on one lock have the same order in the whole class, so any order of
    /// the events in the cut gives the same result.
    fn held(&self, cut: &Cut) -> Holders {
        let mut ranks: HashMap<u32, u16> = HashMap::new();
        Holders::after(self.trace.events.iter().filter(|event| {
            let rank = ranks.entry(event.choice.process).or_default();
            *rank += 1;
            self.order.happened(cut, event, *rank - 1)
        }))
    }
}
