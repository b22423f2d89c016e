//! Exhaustive depth-first search over the enabled sets, optionally of one schedule per class.
//!
//! With `reduce`, it uses *sleep sets* (P. Godefroid, "Partial-Order Methods for the Verification of Concurrent
//! Systems", LNCS 1032, 1996, ch. 5): a choice that was explored at a point need not be explored again below its
//! siblings until something that depends on it has happened. Sleep sets alone complete exactly one execution of each
//! Mazurkiewicz trace; an execution in which every enabled choice is asleep is given up.

use serde::{Deserialize, Serialize};

use super::taken::Taken;
use super::{Decision, Strategy, explored_share};
use crate::explore::point::{Divergence, Point};
use crate::explore::step::{Choice, Event};

/// The state of the search, which can be serialized to continue later.
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
    taken: Option<Taken>,
    /// The choices that remain to be explored, the next one last.
    todo: Vec<Choice>,
    /// The sleep set: choices that need not be explored from here.
    sleep: Vec<Event>,
    /// The number of branches here, and the index of the current one, for the estimate of progress.
    width: usize,
    index: usize,
}

impl Dfs {
    /// Creates a search.
    pub fn new(reduce: bool) -> Self {
        Self { reduce, path: Vec::new(), depth: 0, exhausted: false }
    }

    /// Whether everything has been explored.
    pub fn is_exhausted(&self) -> bool {
        self.exhausted
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
        // Locks first, because a refusal costs nothing while another task can continue. Kills last, when it is known
        // which tasks could continue. `todo` is a stack, hence the reverse.
        todo.sort_by_key(|choice| {
            let lock = point.step(*choice).is_some_and(|step| step.may_wait());
            std::cmp::Reverse((choice.kill, !lock, *choice))
        });
        let width = todo.len();
        self.path.push(Node { taken: None, todo, sleep, width, index: 0 });
    }
}

impl Strategy for Dfs {
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
            node.taken = Taken::at(point, choice);
        }
        node.taken.as_ref().map_or(Ok(Decision::GiveUp), |taken| taken.again(point).map(Decision::Take))
    }

    fn refused(&mut self, point: &Point<'_>, process: usize) -> Result<(), Divergence> {
        let node = &mut self.path[point.depth];
        node.taken.take().map_or(Ok(()), |taken| taken.refused(point))?;
        let before = node.todo.len();
        node.todo.retain(|choice| choice.index() != process);
        node.width -= 1 + before - node.todo.len();
        Ok(())
    }

    fn done(&mut self, event: &Event) -> Result<(), Divergence> {
        let position = self.depth - 1;
        let taken = self.path.get_mut(position).and_then(|node| node.taken.as_mut());
        taken.map_or(Ok(()), |taken| taken.done(position, event))
    }

    fn explored(&self) -> Option<f64> {
        if self.exhausted {
            return Some(1.0);
        }
        Some(explored_share(self.path.iter().map(|node| (node.index, node.width))))
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
