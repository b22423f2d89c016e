//! The order in which the steps of one execution depend on each other: classes, their sizes, and races.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::touch::Touch;

/// One granted step.
#[derive(Clone, Debug)]
pub(super) struct Event {
    /// The task's number.
    pub(super) task: usize,
    pub(super) touches: Vec<Touch>,
    /// The numbers of the tasks that it made.
    pub(super) created: Vec<usize>,
    /// The step in words.
    pub(super) words: String,
    /// It happened because nothing else could go on.
    pub(super) barrier: bool,
    /// It only follows the tree of processes (an exit, a wait), and is no step of the count of schedules.
    pub(super) structural: bool,
}

impl Event {
    fn pair(&self, other: &Self, by: fn(Touch, Touch) -> bool) -> bool {
        self.barrier
            || other.barrier
            || self.touches.iter().any(|mine| other.touches.iter().any(|its| by(*mine, *its)))
    }

    /// Whether either may come first and the order matters.
    pub(super) fn races(&self, other: &Self) -> bool {
        self.pair(other, Touch::races)
    }

    fn depends(&self, other: &Self) -> bool {
        self.pair(other, Touch::depends)
    }
}

/// For each event, the set of events before it that it depends on, directly or not.
pub(super) type Before = Vec<Vec<bool>>;

/// The order of `events`: each task's own, creation, and every pair for which `edge` holds.
fn before(events: &[Event], edge: impl Fn(&Event, &Event) -> bool) -> Before {
    let mut before: Before = Vec::with_capacity(events.len());
    for (at, event) in events.iter().enumerate() {
        let mut mine = vec![false; events.len()];
        for earlier in (0..at).rev() {
            let other = &events[earlier];
            let is_own = other.task == event.task || other.created.contains(&event.task);
            if !mine[earlier] && (is_own || edge(event, other)) {
                mine[earlier] = true;
                for (mine, its) in mine.iter_mut().zip(&before[earlier]) {
                    *mine |= *its;
                }
            }
        }
        before.push(mine);
    }
    before
}

/// The order in which races are looked for.
pub(super) fn race_order(events: &[Event]) -> Before {
    before(events, |one, other| one.races(other))
}

/// The whole order: what only makes room for another step comes before it, too.
pub(super) fn full_order(events: &[Event]) -> Before {
    before(events, |one, other| one.depends(other))
}

/// A number that equivalent schedules have in common, and no others (but for a chance of 2⁻⁶⁴).
pub(super) fn class(events: &[Event], names: &[String]) -> u64 {
    let order = full_order(events);
    let mut rank: HashMap<usize, usize> = HashMap::new();
    let places: Vec<(&str, usize)> = events
        .iter()
        .map(|event| {
            let rank = rank.entry(event.task).or_insert(0);
            *rank += 1;
            (names[event.task].as_str(), *rank)
        })
        .collect();
    let mut parts: Vec<_> = (0..events.len())
        .map(|at| {
            let mut needs: Vec<_> =
                (0..at).filter(|earlier| order[at][*earlier]).map(|earlier| places[earlier]).collect();
            needs.sort_unstable();
            (places[at], needs)
        })
        .collect();
    parts.sort_unstable();
    let mut hasher = DefaultHasher::new();
    parts.hash(&mut hasher);
    hasher.finish()
}

/// How many schedules the class of `events` holds, counted over the steps that are not structural; `None`
/// when that would take too long.
pub(super) fn schedules(events: &[Event]) -> Option<u64> {
    const MOST: usize = 50_000;
    let order = full_order(events);
    let kept: Vec<usize> = (0..events.len()).filter(|at| !events[*at].structural).collect();
    let mut tasks: Vec<usize> = kept.iter().map(|at| events[*at].task).collect();
    tasks.sort_unstable();
    tasks.dedup();
    let own: Vec<Vec<usize>> = tasks
        .iter()
        .map(|task| kept.iter().copied().filter(|at| events[*at].task == *task).collect())
        .collect();
    let mut level: HashMap<Vec<u16>, u64> = HashMap::from([(vec![0; tasks.len()], 1)]);
    let mut visited = 0;
    for _ in 0..kept.len() {
        let mut next: HashMap<Vec<u16>, u64> = HashMap::new();
        for (cut, ways) in level {
            for (task, events) in own.iter().enumerate() {
                let Some(at) = events.get(usize::from(cut[task])) else { continue };
                let is_next = own.iter().zip(&cut).all(|(other, done)| {
                    other.iter().skip(usize::from(*done)).all(|later| !order[*at][*later])
                });
                if is_next {
                    let mut after = cut.clone();
                    after[task] += 1;
                    let known = next.entry(after).or_insert(0);
                    *known = known.saturating_add(ways);
                }
            }
        }
        visited += next.len();
        if visited > MOST {
            return None;
        }
        level = next;
    }
    Some(level.into_values().fold(0, u64::saturating_add))
}
