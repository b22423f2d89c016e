//! Equivalence of schedules: two schedules are in one *class* if swapping adjacent independent steps turns one into the
//! other (A. Mazurkiewicz, "Trace Theory", LNCS 255, 1987).
//!
//! All schedules of a class have the same outcome, so executing one of them is enough. They are the linear extensions
//! of its partial order, which can be counted and searched without executing them.

use std::collections::HashMap;

use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};

use super::step::{Choice, Event};

/// The maximum number of cuts that are visited to count a class or to shorten a schedule. If there are more, the count
/// is an estimate.
pub(super) const MAX_CUTS: usize = 50_000;
/// The maximum size of the cuts that are visited to count a class, in words of one per task.
const MAX_WORDS: usize = 8 * MAX_CUTS;
/// The maximum number of events of a class that is counted, because counting recurses once per event.
const MAX_EVENTS: usize = 2_000;
/// The number of random schedules on which an estimate is based.
const WALKS: u32 = 32;

/// The partial order of a trace: the earlier events on which each event depends.
#[derive(Clone, Debug)]
pub struct Order<'a> {
    events: &'a [Event],
    /// The tasks that take part, in order, and the events of each.
    tasks: Vec<u32>,
    own: Vec<Vec<usize>>,
    /// For each event, the task and the number of each event on which it depends directly.
    direct: Vec<Vec<(usize, u16)>>,
}

/// A set of events that is closed under dependencies, as the number of events of each task.
pub type Cut = Vec<u16>;

/// The number of schedules in a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// The number; saturates.
    pub count: u64,
    /// Whether it was counted, not estimated.
    pub exact: bool,
}

impl<'a> Order<'a> {
    /// The order in which `events` depend on each other.
    pub fn new(events: &'a [Event]) -> Self {
        let mut tasks: Vec<u32> = events.iter().map(|event| event.choice.process).collect();
        tasks.sort_unstable();
        tasks.dedup();
        let mut order = Self {
            events,
            own: vec![Vec::new(); tasks.len()],
            tasks,
            direct: Vec::with_capacity(events.len()),
        };
        // For each event, the number of events of each task that must happen before it.
        let mut needs: Vec<Vec<u16>> = Vec::with_capacity(events.len());
        let mut place: Vec<(usize, u16)> = Vec::with_capacity(events.len());
        for (position, event) in events.iter().enumerate() {
            let mut need: Vec<u16> = vec![0; order.tasks.len()];
            let mut direct = Vec::new();
            // Go backwards, so that events that an earlier event needs are not compared again.
            for earlier in (0..position).rev() {
                let (task, rank) = place[earlier];
                if need[task] < rank && event.depends(&events[earlier]) {
                    for (mine, its) in need.iter_mut().zip(&needs[earlier]) {
                        *mine = (*mine).max(*its);
                    }
                    need[task] = need[task].max(rank);
                    direct.push((task, rank));
                }
            }
            needs.push(need);
            order.direct.push(direct);
            let task = order.place(event);
            order.own[task].push(position);
            place.push((task, order.own[task].len() as u16));
        }
        order
    }

    fn place(&self, event: &Event) -> usize {
        self.tasks.binary_search(&event.choice.process).unwrap_or_default()
    }

    /// The empty cut.
    pub fn bottom(&self) -> Cut {
        vec![0; self.own.len()]
    }

    /// Adds `event`, which must be a possible next event.
    pub fn advance(&self, cut: &mut Cut, event: &Event) {
        cut[self.place(event)] += 1;
    }

    /// Whether `event`, the event number `rank` of its task (from 0), is in the cut.
    pub(super) fn happened(&self, cut: &Cut, event: &Event, rank: u16) -> bool {
        cut[self.place(event)] > rank
    }

    /// The events that can be next after `cut`, in the order of tasks.
    pub fn next<'s>(&'s self, cut: &'s Cut) -> impl Iterator<Item = &'a Event> + 's {
        (0..self.own.len()).filter_map(move |task| {
            let position = *self.own[task].get(usize::from(cut[task]))?;
            let ready = self.direct[position].iter().all(|(task, rank)| *rank <= cut[*task]);
            ready.then(|| &self.events[position])
        })
    }

    /// The next event of `task` after `cut`, whether or not it can be next.
    pub fn upcoming(&self, cut: &Cut, task: usize) -> Option<&'a Event> {
        let place = self.tasks.binary_search(&(task as u32)).ok()?;
        let position = *self.own[place].get(usize::from(cut[place]))?;
        Some(&self.events[position])
    }

    /// The number of schedules in the class: the linear extensions of the order.
    ///
    /// They are counted over cuts, of which there are at most `Π (kᵢ + 1)`. If these are too many, the number is
    /// estimated from random schedules (D. Knuth, "Estimating the Efficiency of Backtrack Programs", Mathematics of
    /// Computation 29, 1975), deterministically for the same events.
    ///
    /// Two schedules that differ only in the positions of structural steps are counted as one.
    pub fn schedules(&self) -> Size {
        self.without_structural().map_or_else(|| self.linear_extensions(), |order| order.linear_extensions())
    }

    /// The order among the steps that are not structural; `None` if no step is structural.
    pub(super) fn without_structural(&self) -> Option<Self> {
        if !self.events.iter().any(|event| event.step.structural) {
            return None;
        }
        let is_kept = |position: &usize| !self.events[*position].step.structural;
        // For each prefix of the events of each task, the number of events that are kept.
        let kept: Vec<Vec<u16>> = self
            .own
            .iter()
            .map(|own| {
                let counts = own.iter().scan(0, |count, position| {
                    *count += u16::from(is_kept(position));
                    Some(*count)
                });
                std::iter::once(0).chain(counts).collect()
            })
            .collect();
        let own = self.own.iter().map(|own| own.iter().copied().filter(is_kept).collect()).collect();
        let mut direct: Vec<Vec<(usize, u16)>> = Vec::with_capacity(self.direct.len());
        for needed in &self.direct {
            let mut list: Vec<(usize, u16)> = Vec::with_capacity(needed.len());
            for (task, rank) in needed {
                let position = self.own[*task][usize::from(*rank) - 1];
                if is_kept(&position) {
                    list.push((*task, kept[*task][usize::from(*rank)]));
                } else {
                    // What a structural step needs is needed by those that need it.
                    list.extend(&direct[position]);
                }
            }
            list.sort_unstable();
            list.dedup();
            direct.push(list);
        }
        Some(Self { events: self.events, tasks: self.tasks.clone(), own, direct })
    }

    fn linear_extensions(&self) -> Size {
        let mut known: HashMap<Cut, u64> = HashMap::new();
        let counted =
            (self.events.len() <= MAX_EVENTS).then(|| self.count(self.bottom(), &mut known)).flatten();
        match counted {
            Some(count) => Size { count, exact: true },
            None => Size { count: self.estimate(), exact: false },
        }
    }

    fn count(&self, cut: Cut, known: &mut HashMap<Cut, u64>) -> Option<u64> {
        if let Some(count) = known.get(&cut) {
            return Some(*count);
        }
        if known.len() >= MAX_CUTS.min(MAX_WORDS / self.tasks.len().max(1)) {
            return None;
        }
        let mut count: u64 = 0;
        let mut last = true;
        for event in self.next(&cut) {
            last = false;
            let mut after = cut.clone();
            self.advance(&mut after, event);
            count = count.saturating_add(self.count(after, known)?);
        }
        if last {
            count = 1;
        }
        known.insert(cut, count);
        Some(count)
    }

    fn estimate(&self) -> u64 {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(self.events.len() as u64);
        let mut sum = 0.0;
        for _ in 0..WALKS {
            let (mut cut, mut ways) = (self.bottom(), 1.0);
            loop {
                let next: Vec<_> = self.next(&cut).collect();
                if next.is_empty() {
                    break;
                }
                ways *= next.len() as f64;
                self.advance(&mut cut, next[random.random_range(0..next.len())]);
            }
            sum += ways;
        }
        // The conversion saturates.
        (sum / f64::from(WALKS)) as u64
    }

    /// The canonical form of the class: its first schedule in lexicographic order.
    pub fn class(&self) -> Vec<Choice> {
        let mut cut = self.bottom();
        let mut class = Vec::with_capacity(self.events.len());
        loop {
            let Some(event) = self.next(&cut).next() else { return class };
            self.advance(&mut cut, event);
            class.push(event.choice);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explore::step::{Access, Effect, Step};

    fn event(process: usize, access: Access) -> Event {
        Event::new(Choice::step(process), Step::new("step", "stock", access), Effect::default())
    }

    #[test]
    fn reads_commute_and_writes_do_not() {
        let reads = [event(0, Access::Read), event(1, Access::Read), event(2, Access::Read)];
        assert_eq!(Order::new(&reads).schedules().count, 6);
        let writes = [event(2, Access::Write), event(1, Access::Write), event(0, Access::Write)];
        assert_eq!(Order::new(&writes).schedules().count, 1);
        assert_eq!(Order::new(&writes).class(), [2, 1, 0].map(Choice::step));
    }

    #[test]
    fn two_schedules_of_a_class_have_the_same_first_schedule() {
        let one = [event(0, Access::Read), event(1, Access::Read), event(0, Access::Write)];
        let other = [event(1, Access::Read), event(0, Access::Read), event(0, Access::Write)];
        assert_eq!(Order::new(&one).class(), Order::new(&other).class());
        assert_eq!(Order::new(&one).schedules().count, 2);
    }

    #[test]
    fn structural_steps_order_others_but_are_not_counted() {
        let mut exit = event(0, Access::Write);
        exit.step = Step::new("exit", "exit of A", Access::Write);
        exit.step.structural = true;
        let mut wait = event(1, Access::Write);
        wait.step = Step::new("wait", "exit of A", Access::Await);
        wait.step.structural = true;
        let read = |task| event(task, Access::Read);
        let events = [read(0), read(1), exit, wait, read(1)];
        // The first two reads in either order, the last after both.
        assert_eq!(Order::new(&events).schedules().count, 2);
    }

    #[test]
    fn a_class_too_large_to_count_is_estimated() {
        let few: Vec<_> = (0..4).map(|event_of| event(event_of, Access::Read)).collect();
        assert_eq!(Order::new(&few).estimate(), 24, "every walk has the same widths");
        let many: Vec<_> = (0..200).map(|at| event(at % 10, Access::Read)).collect();
        let size = Order::new(&many).schedules();
        assert!(!size.exact && size.count == u64::MAX, "{size:?}");
    }
}
