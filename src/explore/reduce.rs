//! Equivalence of schedules: two are one *class* if swapping independent neighbours turns one into
//! the other (A. Mazurkiewicz, "Trace Theory", LNCS 255, 1987).
//!
//! All schedules of a class lead to the same end, so one of them is enough; the others are the
//! linear extensions of its partial order, which can be counted, and searched, without running.

use std::collections::HashMap;

use super::step::{Choice, Event};

/// The partial order of a trace: for each event those before it on which it depends.
#[derive(Clone, Debug)]
pub struct Order<'a> {
    events: &'a [Event],
    /// The events of each process, in its own order.
    own: Vec<Vec<usize>>,
    /// For each event, how many events of each process must have happened before it.
    needs: Vec<Vec<u8>>,
}

/// A set of events closed under what they depend on: how far each process has come.
pub type Cut = Vec<u8>;

impl<'a> Order<'a> {
    /// The order in which `events` depend on each other.
    pub fn new(events: &'a [Event]) -> Self {
        let processes = events.iter().map(|event| event.choice.index() + 1).max().unwrap_or(0);
        let mut own: Vec<Vec<usize>> = vec![Vec::new(); processes];
        let mut needs: Vec<Vec<u8>> = Vec::with_capacity(events.len());
        for (position, event) in events.iter().enumerate() {
            let mut need = vec![0; processes];
            for (earlier, other) in events[..position].iter().enumerate() {
                if event.depends(other) {
                    for (mine, its) in need.iter_mut().zip(&needs[earlier]) {
                        *mine = (*mine).max(*its);
                    }
                    let rank = own[other.choice.index()].iter().position(|at| *at == earlier);
                    let happened = rank.map_or(0, |rank| rank as u8 + 1);
                    let mine = &mut need[other.choice.index()];
                    *mine = (*mine).max(happened);
                }
            }
            needs.push(need);
            own[event.choice.index()].push(position);
        }
        Self { events, own, needs }
    }

    /// Nothing has happened.
    pub fn bottom(&self) -> Cut {
        vec![0; self.own.len()]
    }

    /// The events that can be next after `cut`, in the order of processes.
    pub fn next<'s>(&'s self, cut: &'s Cut) -> impl Iterator<Item = &'a Event> + 's {
        (0..self.own.len()).filter_map(move |process| {
            let position = *self.own[process].get(usize::from(cut[process]))?;
            let ready = self.needs[position].iter().zip(cut).all(|(need, have)| need <= have);
            ready.then(|| &self.events[position])
        })
    }

    /// The next event of `process` after `cut`, whether or not it can be next.
    pub fn upcoming(&self, cut: &Cut, process: usize) -> Option<&'a Event> {
        let position = *self.own[process].get(usize::from(cut[process]))?;
        Some(&self.events[position])
    }

    /// How many schedules are in the class: the linear extensions of the order.
    ///
    /// Counted over cuts, of which there are at most `Π (kᵢ + 1)`; saturates.
    pub fn schedules(&self) -> u64 {
        let mut known: HashMap<Cut, u64> = HashMap::new();
        self.count(self.bottom(), &mut known)
    }

    fn count(&self, cut: Cut, known: &mut HashMap<Cut, u64>) -> u64 {
        if let Some(count) = known.get(&cut) {
            return *count;
        }
        let mut count: u64 = 0;
        let mut last = true;
        for event in self.next(&cut) {
            last = false;
            let mut after = cut.clone();
            after[event.choice.index()] += 1;
            count = count.saturating_add(self.count(after, known));
        }
        if last {
            count = 1;
        }
        known.insert(cut, count);
        count
    }

    /// The class itself: its first schedule in lexicographic order.
    pub fn class(&self) -> Vec<Choice> {
        let mut cut = self.bottom();
        let mut class = Vec::with_capacity(self.events.len());
        loop {
            let Some(event) = self.next(&cut).next() else { return class };
            cut[event.choice.index()] += 1;
            class.push(event.choice);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explore::step::{Access, Step};

    fn event(process: usize, access: Access) -> Event {
        Event {
            choice: Choice::step(process),
            step: Step::new("step", "stock", access),
            seen: String::new(),
            observation: Default::default(),
            released: Vec::new(),
            ended: false,
        }
    }

    #[test]
    fn reads_commute_and_writes_do_not() {
        let reads = [event(0, Access::Read), event(1, Access::Read), event(2, Access::Read)];
        assert_eq!(Order::new(&reads).schedules(), 6);
        let writes = [event(2, Access::Write), event(1, Access::Write), event(0, Access::Write)];
        assert_eq!(Order::new(&writes).schedules(), 1);
        assert_eq!(Order::new(&writes).class(), [2, 1, 0].map(Choice::step));
    }

    #[test]
    fn two_schedules_of_a_class_have_the_same_first_schedule() {
        let one = [event(0, Access::Read), event(1, Access::Read), event(0, Access::Write)];
        let other = [event(1, Access::Read), event(0, Access::Read), event(0, Access::Write)];
        assert_eq!(Order::new(&one).class(), Order::new(&other).class());
        assert_eq!(Order::new(&one).schedules(), 2);
    }
}
