//! Depth-first search over the enabled sets, to the end; optionally one schedule per class.
//!
//! With `reduce`, *sleep sets* (P. Godefroid, "Partial-Order Methods for the Verification of
//! Concurrent Systems", LNCS 1032, 1996, ch. 5): what was explored at a point need not be explored
//! again below its siblings until something that depends on it has happened. Sleep sets alone
//! complete exactly one execution of each Mazurkiewicz trace; an execution in which all that is
//! enabled sleeps is given up.

use serde::{Deserialize, Serialize};

use super::{Decision, Strategy};
use crate::explore::engine::{Divergence, Point};
use crate::explore::step::{Choice, Event, Step, task_name, waiting};

/// The search and its position; serialize it to continue later.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Dfs {
    reduce: bool,
    path: Vec<Node>,
    depth: usize,
    exhausted: bool,
}

/// A point on the path of the current execution.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Node {
    /// What was chosen, and once it has happened, what it was.
    taken: Option<Taken>,
    /// What remains to be explored, the next one last.
    todo: Vec<Choice>,
    /// What need not be explored from here.
    sleep: Vec<Event>,
    /// How many branches there are here, and which of them this is: for the estimate.
    width: usize,
    index: usize,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Taken {
    choice: Choice,
    step: Option<Step>,
    event: Option<Event>,
}

impl Dfs {
    /// A search that has not begun.
    pub fn new(reduce: bool) -> Self {
        Self { reduce, path: Vec::new(), depth: 0, exhausted: false }
    }

    /// Whether everything has been explored.
    pub fn is_exhausted(&self) -> bool {
        self.exhausted
    }

    /// Which part of the tree has been explored, from 0 to 1, as if every subtree beside the
    /// current path were as large as its siblings (D. Knuth, "Estimating the Efficiency of
    /// Backtrack Programs", Mathematics of Computation 29, 1975).
    pub fn explored(&self) -> f64 {
        if self.exhausted {
            return 1.0;
        }
        let (mut explored, mut share) = (0.0, 1.0);
        for node in &self.path {
            share /= node.width.max(1) as f64;
            explored += share * node.index as f64;
        }
        explored
    }

    fn arrive(&mut self, point: &Point<'_>) {
        let sleep = match self.path.last() {
            Some(parent) if self.reduce => {
                let last = parent.taken.as_ref().and_then(|taken| taken.event.as_ref());
                let sleep = parent.sleep.iter();
                sleep.filter(|event| last.is_none_or(|last| !event.depends(last))).cloned().collect()
            }
            _ => Vec::new(),
        };
        let asleep = |choice: &Choice| sleep.iter().any(|event: &Event| event.choice == *choice);
        let mut todo: Vec<_> = point.choices.iter().copied().filter(|choice| !asleep(choice)).collect();
        // Locks first: a refusal costs nothing while another task can go on. Kills last, when it is
        // known which tasks could go on. `todo` is a stack, hence the reverse.
        todo.sort_by_key(|choice| {
            let lock = point.step(*choice).is_some_and(|step| step.may_wait());
            std::cmp::Reverse((choice.kill, !lock, *choice))
        });
        let width = todo.len();
        self.path.push(Node { taken: None, todo, sleep, width, index: 0 });
    }
}

impl Strategy for Dfs {
    fn explored(&self) -> Option<f64> {
        Some(Dfs::explored(self))
    }

    fn begin(&mut self) -> bool {
        self.depth = 0;
        !self.exhausted
    }

    fn decide(&mut self, point: &Point<'_>) -> Result<Decision, Divergence> {
        if point.depth == self.path.len() {
            self.arrive(point);
        }
        self.depth = point.depth + 1;
        let node = &mut self.path[point.depth];
        if node.taken.is_none() {
            let Some(choice) = node.todo.pop() else { return Ok(Decision::GiveUp) };
            node.taken = Some(Taken { choice, step: point.step(choice).cloned(), event: None });
        }
        let taken = node.taken.as_ref().expect("taken just now");
        let found = point.step(taken.choice);
        if found != taken.step.as_ref() {
            return Err(Divergence {
                position: point.depth,
                expected: waiting(taken.choice, taken.step.as_ref()),
                found: waiting(taken.choice, found),
            });
        }
        Ok(Decision::Take(taken.choice))
    }

    fn refused(&mut self, point: &Point<'_>, process: usize) -> Result<(), Divergence> {
        let node = &mut self.path[point.depth];
        if node.taken.take().is_some_and(|taken| taken.event.is_some()) {
            return Err(Divergence {
                position: point.depth,
                expected: format!("{} gets the lock", task_name(process)),
                found: "the lock is held".into(),
            });
        }
        let before = node.todo.len();
        node.todo.retain(|choice| choice.index() != process);
        node.width -= 1 + before - node.todo.len();
        Ok(())
    }

    fn done(&mut self, event: &Event) -> Result<(), Divergence> {
        let position = self.depth - 1;
        let Some(taken) = self.path.get_mut(position).and_then(|node| node.taken.as_mut()) else {
            return Ok(());
        };
        match &taken.event {
            None => taken.event = Some(event.clone()),
            Some(before) if before != event => {
                return Err(Divergence { position, expected: before.to_string(), found: event.to_string() });
            }
            Some(_) => {}
        }
        Ok(())
    }

    fn diverged(&mut self, position: usize) {
        self.path.truncate(position + 1);
        self.end();
    }

    fn end(&mut self) {
        while let Some(node) = self.path.last_mut() {
            if let Some(taken) = node.taken.take() {
                node.index += 1;
                if self.reduce {
                    node.sleep.extend(taken.event);
                }
            }
            if !node.todo.is_empty() {
                return;
            }
            self.path.pop();
        }
        self.exhausted = true;
    }
}
