//! Repeated executions, counted by outcome, with the shortest witness of each outcome.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::engine::{Ambiguity, ExecuteError, System, Trace, execute};
use super::reduce::Order;
use super::schedule::runs;
use super::shrink::{Cost, shortest};
use super::strategy::Strategy;

/// The results of a search so far.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tally<O: Ord> {
    /// Complete executions.
    pub schedules: u64,
    /// Executions that were given up because everything left had been explored elsewhere.
    pub given_up: u64,
    /// Complete executions in which no task was killed.
    pub unharmed: u64,
    /// The total number of schedules in the classes found so far; saturates.
    pub represents: u64,
    /// Whether `represents` is an estimate, because a class was too large to count.
    #[serde(default)]
    pub estimated: bool,
    /// The outcomes found.
    pub outcomes: BTreeMap<O, Found>,
    /// The uncontrolled actions, and how often each occurred.
    #[serde(default)]
    pub uncontrolled: BTreeMap<String, u64>,
    /// Each class by its first schedule, with the schedule that was executed and its outcome.
    classes: HashMap<String, (String, O)>,
    /// For classes with structural steps: the classes without these steps, with the outcomes of each.
    #[serde(default = "HashMap::new")]
    counted: HashMap<String, Vec<O>>,
}

/// One outcome.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Found {
    /// The number of executions with this outcome.
    pub count: u64,
    /// The number of these in which no task was killed.
    pub unharmed: u64,
    /// The number of classes with this outcome.
    pub classes: u64,
    /// The total number of schedules in these classes.
    pub represents: u64,
    /// Whether `represents` is an estimate.
    #[serde(default)]
    pub estimated: bool,
    /// The cost of the shortest schedule with this outcome in these classes.
    pub cost: Cost,
    /// That schedule. It is equivalent to one that was executed, but may not have been executed itself.
    pub witness: Trace,
}

impl<O: Ord> Default for Tally<O> {
    fn default() -> Self {
        Self {
            schedules: 0,
            given_up: 0,
            unharmed: 0,
            represents: 0,
            estimated: false,
            outcomes: BTreeMap::new(),
            uncontrolled: BTreeMap::new(),
            classes: HashMap::new(),
            counted: HashMap::new(),
        }
    }
}

impl<O: Ord + Clone + std::fmt::Debug> Tally<O> {
    /// The number of classes of equivalent schedules found so far.
    pub fn classes(&self) -> u64 {
        self.classes.len() as u64
    }

    /// Records an execution: its outcome always, its size and its shortest schedule once per class.
    ///
    /// # Errors
    /// When an equivalent schedule had another outcome. Both outcomes are in the tally.
    pub fn record(&mut self, outcome: &O, trace: &Trace) -> Result<(), Ambiguity> {
        let unharmed = u64::from(!trace.events.iter().any(|event| event.choice.kill));
        self.schedules += 1;
        self.unharmed += unharmed;
        let order = Order::new(&trace.events);
        let class = runs(&order.class());
        let known = self.classes.get(&class);
        let ambiguity = known.filter(|(_, known)| known != outcome).map(|(first, known)| Ambiguity {
            first: first.clone(),
            first_outcome: format!("{known:?}"),
            second: runs(&trace.choices()),
            second_outcome: format!("{outcome:?}"),
        });
        if known.is_none() || (ambiguity.is_some() && !self.outcomes.contains_key(outcome)) {
            let size = order.schedules();
            self.estimated |= !size.exact;
            let (new, exact) = (u64::from(known.is_none()), size.exact);
            // Classes that differ only in structural steps contain the same schedules.
            let (counted, counted_with_outcome) = match order.without_structural() {
                None => (false, false),
                Some(order) => {
                    let ends = self.counted.entry(runs(&order.class())).or_default();
                    let counted = (!ends.is_empty(), ends.contains(outcome));
                    if !counted.1 {
                        ends.push(outcome.clone());
                    }
                    counted
                }
            };
            let all = size.count * new * u64::from(!counted);
            let size = size.count * new * u64::from(!counted_with_outcome);
            let witness = shortest(trace);
            let cost = Cost::of(&witness);
            self.represents = self.represents.saturating_add(all);
            match self.outcomes.get_mut(outcome) {
                Some(found) => {
                    found.classes += new;
                    found.represents = found.represents.saturating_add(size);
                    found.estimated |= !exact;
                    if cost < found.cost {
                        (found.cost, found.witness) = (cost, witness);
                    }
                }
                None => {
                    let found = Found {
                        count: 0,
                        unharmed: 0,
                        classes: new,
                        represents: size,
                        estimated: !exact,
                        cost,
                        witness,
                    };
                    self.outcomes.insert(outcome.clone(), found);
                }
            }
        }
        if known.is_none() {
            self.classes.insert(class, (runs(&trace.choices()), outcome.clone()));
        }
        if let Some(found) = self.outcomes.get_mut(outcome) {
            found.count += 1;
            found.unharmed += unharmed;
        }
        ambiguity.map_or(Ok(()), Err)
    }
}

/// Executes until nothing is left or until `go_on`, which is called after each execution, returns `false`. Returns
/// whether the search is complete: nothing is left, and everything was controlled.
///
/// # Errors
/// When an execution fails, or two equivalent schedules had different outcomes. Earlier results stay in `tally`.
pub fn search<S: System + ?Sized, T: Strategy + ?Sized>(
    system: &mut S,
    strategy: &mut T,
    kills: usize,
    tally: &mut Tally<S::Outcome>,
    mut go_on: impl FnMut(&Tally<S::Outcome>, &T) -> bool,
) -> Result<bool, ExecuteError<S::Error>> {
    while strategy.begin() {
        match execute(system, strategy, kills)? {
            Some(trace) => {
                let outcome = system.judge(&trace).map_err(ExecuteError::System)?;
                for (what, count) in system.uncontrolled() {
                    *tally.uncontrolled.entry(what).or_insert(0) += count;
                }
                tally.record(&outcome, &trace)?;
            }
            None => tally.given_up += 1,
        }
        strategy.end();
        if !go_on(tally, strategy) {
            return Ok(!strategy.begin() && tally.uncontrolled.is_empty());
        }
    }
    Ok(tally.uncontrolled.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explore::step::{Access, Choice, Effect, Event, Step};

    fn reads(order: [usize; 2]) -> Trace {
        let event = |task| {
            Event::new(Choice::step(task), Step::new("read", "stock", Access::Read), Effect::default())
        };
        Trace { events: order.map(event).to_vec(), stuck: vec![None; 2], ..Trace::default() }
    }

    #[test]
    fn an_outcome_of_a_known_class_is_recorded_and_named_with_both_schedules() {
        let mut tally = Tally::default();
        tally.record(&"ok", &reads([0, 1])).unwrap();
        tally.record(&"ok", &reads([1, 0])).unwrap();
        let ambiguity = tally.record(&"oversold", &reads([1, 0])).unwrap_err();
        assert_eq!((ambiguity.first.as_str(), ambiguity.second.as_str()), ("ab", "ba"));
        assert!(ambiguity.to_string().contains("ab had \"ok\", ba had \"oversold\""), "{ambiguity}");
        assert_eq!((tally.schedules, tally.classes()), (3, 1));
        let counts: Vec<_> = tally.outcomes.iter().map(|(name, found)| (*name, found.count)).collect();
        assert_eq!(counts, [("ok", 2), ("oversold", 1)]);
    }
}
