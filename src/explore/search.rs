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

    /// The same counts, with other values for the outcomes, which must be distinct.
    pub fn map<P: Ord + Clone>(&self, mut of: impl FnMut(&O) -> P) -> Tally<P> {
        Tally {
            schedules: self.schedules,
            given_up: self.given_up,
            unharmed: self.unharmed,
            represents: self.represents,
            estimated: self.estimated,
            outcomes: self.outcomes.iter().map(|(outcome, found)| (of(outcome), found.clone())).collect(),
            uncontrolled: self.uncontrolled.clone(),
            classes: {
                let with = |(class, (first, outcome)): (&String, &(String, O))| {
                    (class.clone(), (first.clone(), of(outcome)))
                };
                self.classes.iter().map(with).collect()
            },
            counted: {
                let all = |(class, outcomes): (&String, &Vec<O>)| {
                    (class.clone(), outcomes.iter().map(&mut of).collect())
                };
                self.counted.iter().map(all).collect()
            },
        }
    }

    /// Records an execution: its outcome always, its size and its shortest schedule once per class.
    ///
    /// # Errors
    /// When an equivalent schedule had another outcome. Both outcomes are in the tally.
    pub fn record(&mut self, outcome: &O, trace: &Trace) -> Result<(), Ambiguity> {
        let order = Order::new(&trace.events);
        let class = Class::of(trace, &order);
        let is_new = match self.classes.get(&class.name) {
            None => true,
            Some((_, known)) => known != outcome && !self.outcomes.contains_key(outcome),
        };
        self.add(outcome, class, is_new.then(|| Measure::of(trace, &order)))
    }

    /// Records an execution of this class. The measure is needed if the class or the outcome is new, and has a witness if
    /// the outcome is new.
    ///
    /// # Errors
    /// As [`record`](Self::record).
    pub fn add(&mut self, outcome: &O, class: Class, measure: Option<Measure>) -> Result<(), Ambiguity> {
        let Class { name, executed, harmed } = class;
        self.schedules += 1;
        self.unharmed += u64::from(!harmed);
        let known = self.classes.get(&name);
        let ambiguity = known.filter(|(_, known)| known != outcome).map(|(first, known)| Ambiguity {
            first: first.clone(),
            first_outcome: format!("{known:?}"),
            second: executed.clone(),
            second_outcome: format!("{outcome:?}"),
        });
        let is_new = known.is_none();
        if let Some(measure) = measure
            && (is_new || (ambiguity.is_some() && !self.outcomes.contains_key(outcome)))
        {
            self.measure(outcome, is_new, measure);
        }
        if is_new {
            self.classes.insert(name, (executed, outcome.clone()));
        }
        if let Some(found) = self.outcomes.get_mut(outcome) {
            found.count += 1;
            found.unharmed += u64::from(!harmed);
        }
        ambiguity.map_or(Ok(()), Err)
    }

    /// Adds the size of a class to those with its outcome, and keeps the shortest witness.
    fn measure(&mut self, outcome: &O, is_new: bool, measure: Measure) {
        let Measure { size, exact, without_structural, witness } = measure;
        self.estimated |= !exact;
        // Classes that differ only in structural steps contain the same schedules.
        let (counted, counted_with_outcome) = match without_structural {
            None => (false, false),
            Some(class) => {
                let ends = self.counted.entry(class).or_default();
                let counted = (!ends.is_empty(), ends.contains(outcome));
                if !counted.1 {
                    ends.push(outcome.clone());
                }
                counted
            }
        };
        let new = u64::from(is_new);
        self.represents = self.represents.saturating_add(size * new * u64::from(!counted));
        let size = size * new * u64::from(!counted_with_outcome);
        match self.outcomes.get_mut(outcome) {
            Some(found) => {
                found.classes += new;
                found.represents = found.represents.saturating_add(size);
                found.estimated |= !exact;
                if let Some((cost, witness)) = witness.filter(|(cost, _)| *cost < found.cost) {
                    (found.cost, found.witness) = (cost, witness);
                }
            }
            None => {
                let Some((cost, witness)) = witness else { return };
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
}

/// The class of an execution.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Class {
    /// Its first schedule.
    name: String,
    /// The schedule that was executed.
    executed: String,
    /// Whether a task was killed.
    harmed: bool,
}

impl Class {
    /// The class of `trace`, which has this order.
    pub fn of(trace: &Trace, order: &Order<'_>) -> Self {
        Self {
            name: runs(&order.class()),
            executed: runs(&trace.choices()),
            harmed: trace.events.iter().any(|event| event.choice.kill),
        }
    }
}

/// The size of a class, and its shortest schedule.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Measure {
    size: u64,
    /// Whether the size was counted, not estimated.
    exact: bool,
    /// The class without structural steps, if there are any.
    without_structural: Option<String>,
    /// The shortest schedule; left out by a process that has sent a shorter one with the same outcome.
    witness: Option<(Cost, Trace)>,
}

impl Measure {
    /// Measures the class of `trace`, which has this order.
    pub fn of(trace: &Trace, order: &Order<'_>) -> Self {
        let size = order.schedules();
        let witness = shortest(trace);
        Self {
            size: size.count,
            exact: size.exact,
            without_structural: order.without_structural().map(|order| runs(&order.class())),
            witness: Some((Cost::of(&witness), witness)),
        }
    }

    /// Leaves out the witness unless it is shorter than `best`, which it then becomes.
    pub fn keep_shorter(&mut self, best: &mut Option<Cost>) {
        self.witness = self.witness.take().filter(|(cost, _)| best.as_ref().is_none_or(|best| cost < best));
        if let Some((cost, _)) = &self.witness {
            *best = Some(cost.clone());
        }
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
