//! The executions of a search as a graph, in which equivalent beginnings are one node.
//!
//! Two beginnings are equivalent if swapping adjacent independent steps turns one into the other: the same steps have
//! happened, each after the same others. So a step is identified by itself and by the steps on which it depends, and a
//! node by the set of its steps. What a node shows was read when it was reached first.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::findings::KILL;
use super::outcome::Outcome;
use super::peek::short_files;
use crate::explore::engine::{Divergence, Point, Trace};
use crate::explore::point::Completed;
use crate::explore::search::Tally;
use crate::explore::shrink::Cost;
use crate::explore::step::{Choice, Event, Step};
use crate::explore::strategy::{Decision, Strategy};

/// The maximum number of nodes; the others are counted.
const MOST_NODES: usize = 3_000;
/// The maximum number of nodes that are counted.
const MOST_HIDDEN: usize = 100_000;
/// The maximum number of outcomes that are reported.
const MOST_OUTCOMES: usize = 60;

/// What is new in the graph of a search.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GraphGrowth {
    /// Whether the search began anew, so that everything before is obsolete.
    pub fresh: bool,
    /// Nodes that are new or have changed.
    pub nodes: Vec<GraphNode>,
    /// New edges.
    pub edges: Vec<GraphEdge>,
    /// The number of nodes that are left out, because there are too many.
    pub hidden: u64,
    /// The outcomes, in the order in which they were found.
    pub outcomes: Vec<GraphOutcome>,
    /// The facts on which the schedules depend.
    pub facts: BTreeSet<String>,
}

/// A class of equivalent beginnings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GraphNode {
    /// Its number; 0 is the beginning.
    pub id: usize,
    /// The number of steps that lead to it.
    pub depth: usize,
    /// The node from which it was reached first, and the choice there, as a schedule names it.
    pub from: Option<(usize, String)>,
    /// The tasks that have not ended, and the next call of each.
    pub at: Vec<(String, String)>,
    /// The short text files of the folder.
    pub files: BTreeMap<String, String>,
    /// The number of the outcome, if no task can continue.
    pub outcome: Option<usize>,
}

/// A step from one node to another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GraphEdge {
    /// The node before.
    pub from: usize,
    /// The node after.
    pub to: usize,
    /// The task, as a schedule names it.
    pub choice: String,
    /// The call in words.
    pub words: String,
}

/// An outcome of the executions so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GraphOutcome {
    /// The outcome, when it is reported first.
    pub outcome: Option<Outcome>,
    /// Executions that ended so.
    pub executions: u64,
    /// Classes that end so.
    pub classes: u64,
    /// The switches of the shortest schedule that leads to it.
    pub switches: usize,
    /// That schedule.
    pub schedule: Vec<String>,
    /// Its last node.
    pub node: Option<usize>,
}

#[derive(Debug)]
struct Node {
    depth: usize,
    from: Option<(usize, Choice)>,
    at: Option<Vec<(usize, Step)>>,
    files: BTreeMap<String, String>,
    outcome: Option<usize>,
}

/// The graph, and which part of it was reported.
#[derive(Debug, Default)]
pub(super) struct Graph {
    ids: HashMap<u64, usize>,
    nodes: Vec<Node>,
    edges: Vec<(usize, usize, Choice, String)>,
    known_edges: HashSet<(usize, usize, Choice)>,
    hidden: HashSet<u64>,
    outcomes: Vec<Arc<Outcome>>,
    /// The cost of the shortest schedule of each outcome, and its last node.
    shortest: Vec<(Cost, Option<usize>)>,
    told_edges: usize,
    told_outcomes: usize,
    /// Nodes that are new or have changed since they were reported.
    changed: BTreeSet<usize>,
    is_fresh: bool,
    path: Path,
}

/// The execution in progress.
#[derive(Debug, Default)]
struct Path {
    /// The events of the previous execution, of which those of this one replace the first that differs and all later.
    events: Vec<Event>,
    identities: Vec<u64>,
    /// How many events have happened.
    done: usize,
    /// The identity of the set of its steps.
    state: u64,
    /// The node that was reached, unless it is left out.
    node: Option<usize>,
}

impl Path {
    /// Begins again. Executions of a search mostly begin as the one before, whose identities are then valid.
    fn begin(&mut self) {
        (self.done, self.state, self.node) = (0, 0, None);
    }

    fn step(&mut self, event: &Event) {
        if self.events.get(self.done) == Some(event) {
            self.state = self.state.wrapping_add(self.identities[self.done]);
            self.done += 1;
            return;
        }
        self.events.truncate(self.done);
        self.identities.truncate(self.done);
        let mut before = 0_u64;
        for (earlier, identity) in self.events.iter().zip(&self.identities) {
            if event.depends(earlier) {
                // The order of independent steps does not matter.
                before = before.wrapping_add(*identity);
            }
        }
        let mut hasher = DefaultHasher::new();
        let Step { name, resource, .. } = &event.step;
        (event.choice, name.as_str(), resource.as_str(), before).hash(&mut hasher);
        let identity = hasher.finish();
        self.state = self.state.wrapping_add(identity);
        self.events.push(event.clone());
        self.identities.push(identity);
        self.done += 1;
    }

    /// The last step.
    fn last(&self) -> Option<&Event> {
        self.events.get(self.done.checked_sub(1)?)
    }
}

impl Graph {
    /// A strategy that decides as `strategy` does and records what happens in the folder `root`.
    pub(super) fn record<'a>(
        &'a mut self,
        strategy: &'a mut dyn Strategy,
        root: PathBuf,
    ) -> impl Strategy + 'a {
        self.path.begin();
        Recording { graph: self, strategy, root }
    }

    /// Forgets everything, because the search begins anew.
    pub(super) fn clear(&mut self) {
        if !self.nodes.is_empty() {
            *self = Self { is_fresh: true, ..Self::default() };
        }
    }

    /// Reaches the state of the present path.
    fn arrive(&mut self, root: &std::path::Path) {
        let before = self.path.node;
        let depth = self.path.done;
        let event = self.path.last();
        let known = self.ids.get(&self.path.state).copied();
        let node = match known {
            Some(id) => Some(id),
            None if self.nodes.len() >= MOST_NODES => {
                if self.hidden.len() < MOST_HIDDEN {
                    self.hidden.insert(self.path.state);
                }
                None
            }
            None => {
                let from = before.zip(event.map(|event| event.choice));
                self.nodes.push(Node { depth, from, at: None, files: short_files(root), outcome: None });
                let id = self.nodes.len() - 1;
                self.ids.insert(self.path.state, id);
                self.changed.insert(id);
                Some(id)
            }
        };
        if let (Some(from), Some(to), Some(event)) = (before, node, event)
            && self.known_edges.insert((from, to, event.choice))
        {
            self.edges.push((from, to, event.choice, event.seen.clone()));
        }
        self.path.node = node;
    }

    /// Records where the tasks are.
    fn wait(&mut self, pending: &[Option<Step>]) {
        let Some(id) = self.path.node.filter(|id| self.nodes[*id].at.is_none()) else { return };
        let at = pending.iter().enumerate().filter_map(|(task, step)| Some((task, step.clone()?)));
        self.nodes[id].at = Some(at.collect());
        self.changed.insert(id);
    }

    /// The execution has ended like this.
    pub(super) fn end(&mut self, outcome: &Arc<Outcome>) {
        let known = self.outcomes.iter().position(|known| known == outcome);
        let number = known.unwrap_or(self.outcomes.len());
        if known.is_none() {
            self.outcomes.push(Arc::clone(outcome));
        }
        if let Some(id) = self.path.node
            && self.nodes[id].outcome != Some(number)
        {
            self.nodes[id].outcome = Some(number);
            self.changed.insert(id);
        }
    }

    /// The last node of a schedule of a class that was executed.
    fn last_node(&self, trace: &Trace) -> Option<usize> {
        let mut path = Path::default();
        trace.events.iter().for_each(|event| path.step(event));
        self.ids.get(&path.state).copied()
    }

    /// What is new since the last call; `names` are those of the tasks.
    pub(super) fn take(
        &mut self,
        tally: &Tally<Arc<Outcome>>,
        names: &[String],
        facts: &BTreeSet<String>,
    ) -> GraphGrowth {
        let name = |task: usize| names.get(task).cloned().unwrap_or_default();
        let choice = |choice: Choice| {
            let kill = if choice.kill { KILL } else { "" };
            format!("{}{kill}", name(choice.index()))
        };
        let nodes = std::mem::take(&mut self.changed).into_iter().map(|id| {
            let node = &self.nodes[id];
            GraphNode {
                id,
                depth: node.depth,
                from: node.from.map(|(from, taken)| (from, choice(taken))),
                at: node
                    .at
                    .iter()
                    .flatten()
                    .map(|(task, step)| (name(*task), format!("{} {}", step.name, step.resource)))
                    .collect(),
                files: node.files.clone(),
                outcome: node.outcome,
            }
        });
        let nodes = nodes.collect();
        let edges = self.edges[self.told_edges..].iter().map(|(from, to, taken, words)| GraphEdge {
            from: *from,
            to: *to,
            choice: choice(*taken),
            words: words.clone(),
        });
        let edges = edges.collect();
        self.told_edges = self.edges.len();
        let mut outcomes = Vec::new();
        for (number, outcome) in self.outcomes.iter().take(MOST_OUTCOMES).enumerate() {
            let Some(found) = tally.outcomes.get(outcome) else { continue };
            let known = self.shortest.get(number);
            let node = match known.filter(|(cost, node)| node.is_some() && *cost == found.cost) {
                Some((_, node)) => *node,
                None => self.last_node(&found.witness),
            };
            let best = (found.cost.clone(), node);
            match self.shortest.get_mut(number) {
                Some(known) => *known = best,
                None => self.shortest.push(best),
            }
            outcomes.push(GraphOutcome {
                outcome: (number >= self.told_outcomes).then(|| (**outcome).clone()),
                executions: found.count,
                classes: found.classes,
                switches: found.cost.switches,
                schedule: found.cost.choices.iter().map(|taken| choice(*taken)).collect(),
                node,
            });
        }
        self.told_outcomes = outcomes.len();
        GraphGrowth {
            fresh: std::mem::take(&mut self.is_fresh),
            nodes,
            edges,
            hidden: self.hidden.len() as u64,
            outcomes,
            facts: facts.clone(),
        }
    }
}

/// A strategy whose executions are recorded.
struct Recording<'a> {
    graph: &'a mut Graph,
    strategy: &'a mut dyn Strategy,
    root: PathBuf,
}

impl Strategy for Recording<'_> {
    fn begin(&mut self) -> bool {
        self.strategy.begin()
    }

    fn decide(&mut self, point: &Point<'_>) -> Result<Decision, Divergence> {
        if point.depth == 0 {
            self.graph.arrive(&self.root);
        }
        self.graph.wait(point.pending);
        self.strategy.decide(point)
    }

    fn refused(&mut self, point: &Point<'_>, process: usize) -> Result<(), Divergence> {
        self.strategy.refused(point, process)
    }

    fn done(&mut self, event: &Event) -> Result<(), Divergence> {
        self.graph.path.step(event);
        self.graph.arrive(&self.root);
        self.strategy.done(event)
    }

    fn complete(&mut self, execution: &Completed<'_>) {
        self.graph.wait(&execution.trace.stuck);
        self.strategy.complete(execution);
    }

    fn given_up(&mut self, execution: &Completed<'_>) {
        self.strategy.given_up(execution);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explore::step::{Access, Effect};

    fn state(steps: &[(usize, &str, Access)]) -> u64 {
        let mut path = Path::default();
        for (task, object, access) in steps {
            path.step(&Event::new(
                Choice::step(*task),
                Step::new("step", object, *access),
                Effect::default(),
            ));
        }
        path.state
    }

    #[test]
    fn beginnings_are_one_node_exactly_if_they_are_equivalent() {
        let (a, b) = ((0, "a", Access::Write), (1, "b", Access::Write));
        assert_eq!(state(&[a, b]), state(&[b, a]), "the two are independent");
        let (one, two) = ((0, "a", Access::Write), (1, "a", Access::Write));
        assert_ne!(state(&[one, two]), state(&[two, one]), "their order matters");
        assert_ne!(state(&[a]), state(&[a, b]));
        let (read, other) = ((2, "a", Access::Read), (1, "a", Access::Read));
        assert_eq!(state(&[a, read, other]), state(&[a, other, read]));
        assert_ne!(state(&[a, read, other]), state(&[read, a, other]));
        assert_ne!(state(&[a, a]), state(&[a]), "each step of a task counts");
    }
}
