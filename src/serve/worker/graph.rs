//! The graph of states of a search, in which equal states are one node.
//!
//! Two states are equal if the processes share the same, hold the same, and each process has seen the same since it
//! began, because what a body does follows from what it has seen. So every class of equivalent prefixes is one node, and classes
//! that lead to the same state are one as well.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use super::observer::Moment;
use super::schedule::holds;
use crate::explore::engine::Trace;
use crate::explore::reduce::Order;
use crate::explore::schedule::runs;
use crate::explore::step::{Choice, Event, letter};
use crate::scenario::experiment::{Lab, State};
use crate::scenario::run::verdict::Verdict;
use crate::serve::protocol::{Growth, NodeView};

/// States that are drawn; more would hide the graph.
const MOST_NODES: usize = 1_200;

/// The graph, and which part of it was reported.
#[derive(Debug, Default)]
pub(super) struct Graph {
    ids: HashMap<String, usize>,
    nodes: Vec<NodeView>,
    edges: Vec<(usize, usize, char, String, bool)>,
    known_edges: HashSet<(usize, usize, char, bool)>,
    hidden: HashSet<String>,
    /// The last state of each class of schedules.
    ends: HashMap<String, usize>,
    said_nodes: usize,
    said_edges: usize,
    /// Reported nodes that have changed since.
    changed: Vec<usize>,
}

/// The graph, shared by the search and the reports.
pub(super) type Shared = Rc<RefCell<Graph>>;

impl Graph {
    /// What is new since the last call.
    pub(super) fn take(&mut self) -> Growth {
        let mut nodes: Vec<NodeView> = self.changed.drain(..).map(|id| self.nodes[id].clone()).collect();
        nodes.extend(self.nodes[self.said_nodes..].iter().cloned());
        let edges = self.edges[self.said_edges..].to_vec();
        (self.said_nodes, self.said_edges) = (self.nodes.len(), self.edges.len());
        Growth { nodes, edges, hidden: self.hidden.len() as u64, ..Growth::default() }
    }

    /// Everything.
    pub(super) fn whole(&self) -> Growth {
        let (nodes, edges) = (self.nodes.clone(), self.edges.clone());
        Growth { nodes, edges, hidden: self.hidden.len() as u64, ..Growth::default() }
    }

    fn node(&mut self, key: String, view: impl FnOnce(usize) -> NodeView) -> Option<usize> {
        if let Some(id) = self.ids.get(&key) {
            return Some(*id);
        }
        if self.nodes.len() >= MOST_NODES {
            if self.hidden.len() < 100_000 {
                self.hidden.insert(key);
            }
            return None;
        }
        let id = self.nodes.len();
        self.nodes.push(view(id));
        self.ids.insert(key, id);
        Some(id)
    }

    fn edge(&mut self, from: usize, to: usize, event: &Event) {
        let (name, kill) = (letter(event.choice.index()), event.choice.kill);
        if self.known_edges.insert((from, to, name, kill)) {
            self.edges.push((from, to, name, event.step.to_string(), kill));
        }
    }

    fn outcome(&mut self, id: usize, verdict: Verdict) {
        if self.nodes[id].outcome != Some(verdict) {
            self.nodes[id].outcome = Some(verdict);
            if id < self.said_nodes {
                self.changed.push(id);
            }
        }
    }

    /// Adds an execution: what was shared after each of its steps, and where each process stood.
    fn add(&mut self, trace: &Trace, standings: &[Standing], verdict: Verdict) {
        let mut from = None;
        let mut seen: Vec<String> = vec![String::new(); trace.stuck.len()];
        for (depth, standing) in standings.iter().enumerate() {
            let events = &trace.events[..depth.min(trace.events.len())];
            if let Some(event) = events.last() {
                let task = event.choice.index();
                let kill = if event.choice.kill { "!" } else { "" };
                seen[task] += &format!("{}{kill}={};", event.step, event.seen);
            }
            let key = format!("{seen:?} {:?} {:?}", standing.shared, holds(events));
            let choices: Vec<Choice> = events.iter().map(|event| event.choice).collect();
            let to = self.node(key, |id| NodeView {
                id,
                depth,
                schedule: runs(&choices),
                at: standing.at.clone(),
                shared: standing.shared.clone(),
                outcome: None,
            });
            if let (Some(from), Some(to), Some(event)) = (from, to, events.last()) {
                self.edge(from, to, event);
            }
            from = to;
        }
        if let Some(id) = from {
            self.outcome(id, verdict);
            self.ends.insert(class(trace), id);
        }
    }

    /// The last state of a schedule of a class that was executed.
    pub(super) fn end_of(&self, trace: &Trace) -> Option<usize> {
        self.ends.get(&class(trace)).copied()
    }
}

/// The class of a schedule, by its first schedule.
fn class(trace: &Trace) -> String {
    runs(&Order::new(&trace.events).class())
}

/// The state between two steps.
#[derive(Debug, Clone)]
struct Standing {
    at: Vec<Option<String>>,
    shared: Vec<(String, String)>,
}

/// An observer that adds every execution to `graph`; `state` reads what the processes share.
pub(super) fn recorder(graph: Shared, state: State) -> impl FnMut(&dyn Lab, Moment<'_>) {
    let mut standings: Vec<Standing> = Vec::new();
    move |lab, moment| {
        match moment {
            Moment::Begin => standings.clear(),
            Moment::Step => {}
            Moment::Judged(trace, verdict) => {
                graph.borrow_mut().add(trace, &standings, verdict);
                return;
            }
        }
        let at = (0..lab.tasks()).map(|task| lab.pending(task).map(ToString::to_string));
        let shared = state().into_iter().map(|(name, value)| (name.to_owned(), value));
        standings.push(Standing { at: at.collect(), shared: shared.collect() });
    }
}
