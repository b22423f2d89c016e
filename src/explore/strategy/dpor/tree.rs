//! The points of a search at which something is left to explore, and what is being explored.
//!
//! Below a branch, what is equivalent to something in an earlier branch is left out, whether that has been explored or is
//! being explored. In a search of one execution after another, a branch begins after everything that the earlier ones
//! require has been planned. If they are still in progress, what they require later may belong below a branch that has
//! begun. It is then planned there, for which the points below that branch are kept.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::assigned::{Assignment, NewPoint, Report};
use super::moves::{Branch, Move, plan, without};
use crate::explore::strategy::taken::Taken;

/// A branch that has begun.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Begun {
    next: Move,
    /// The point after it, unless nothing follows or it is not needed any more.
    child: Option<u64>,
    /// Whether everything that was planned below it has been explored.
    is_explored: bool,
}

/// A point of the search.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Node {
    /// The previous point, and the index of the branch that leads from there to here.
    parent: Option<(u64, usize)>,
    /// The number of decisions before it.
    depth: usize,
    /// The decision that leads here.
    taken: Option<Taken>,
    /// The sleep set on arrival: moves that were explored at earlier points.
    sleep: Vec<Move>,
    /// The branches that have begun, in this order. They belong to the sleep set of later ones.
    begun: Vec<Begun>,
    /// The branches planned after these.
    planned: Vec<Branch>,
    /// Whether the last branch was handed out and has not been reported. What it accesses is not known, so no other begins,
    /// and `plans` wait, each with the index of the branch in which the race is.
    is_waiting: bool,
    plans: Vec<(Option<usize>, Vec<Move>)>,
}

impl Node {
    fn new(parent: Option<(u64, usize)>, depth: usize, taken: Option<Taken>) -> Self {
        Self {
            parent,
            depth,
            taken,
            sleep: Vec::new(),
            begun: Vec::new(),
            planned: Vec::new(),
            is_waiting: false,
            plans: Vec::new(),
        }
    }

    fn begin(&mut self, next: Move) {
        self.begun.push(Begun { next, child: None, is_explored: false });
    }

    fn is_explored(&self) -> bool {
        self.planned.is_empty() && !self.is_waiting && self.begun.iter().all(|branch| branch.is_explored)
    }
}

/// Identifies an assignment.
pub type Ticket = u64;

/// A branch that was handed out.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct InProgress {
    from: u64,
    branch: Option<Branch>,
}

/// The search as a tree. Several executions can be in progress.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tree {
    /// A child has a larger number than its parent.
    nodes: BTreeMap<u64, Node>,
    /// The nodes with planned branches, by depth.
    open: BTreeSet<(usize, u64)>,
    in_progress: BTreeMap<Ticket, InProgress>,
    next: u64,
    has_begun: bool,
}

impl Default for Tree {
    fn default() -> Self {
        let nodes = BTreeMap::from([(0, Node::new(None, 0, None))]);
        Self { nodes, open: BTreeSet::new(), in_progress: BTreeMap::new(), next: 1, has_begun: false }
    }
}

impl Tree {
    /// Whether everything has been explored.
    pub fn is_exhausted(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Hands out the next assignment; `None` if nothing is left, or nothing can begin before another execution is reported.
    /// The deepest planned branch is explored first.
    pub fn hand_out(&mut self) -> Option<(Ticket, Assignment)> {
        let mut open = self.open.iter().rev().map(|(_, id)| *id);
        let from = if self.has_begun { open.find(|id| !self.nodes[id].is_waiting)? } else { 0 };
        self.has_begun = true;
        let path = self.path_to(from);
        let repeated = path.iter().filter_map(|id| self.nodes[id].taken.clone()).collect();
        let node = self.nodes.get_mut(&from)?;
        let explored = node.begun.iter().map(|branch| &branch.next);
        let sleep = node.sleep.iter().chain(explored).cloned().collect();
        let branch = (!node.planned.is_empty()).then(|| node.planned.remove(0));
        if let Some(branch) = &branch {
            node.begin(branch.next.clone());
        }
        node.is_waiting = true;
        self.update_open(from);
        let ticket = self.number();
        self.in_progress.insert(ticket, InProgress { from, branch: branch.clone() });
        Some((ticket, Assignment { repeated, sleep, branch }))
    }

    /// Records what the execution of an assignment found.
    pub fn record(&mut self, ticket: Ticket, report: Report) {
        let Some(from) = self.settle(ticket) else { return };
        let mut path = self.path_to(from);
        let depth = path.len() - 1;
        let mut at = from;
        let mut points = report.points.into_iter().enumerate().peekable();
        while let Some((index, NewPoint { sleep, mut branches, taken })) = points.next() {
            let Some(node) = self.nodes.get_mut(&at) else { return };
            if index > 0 {
                node.sleep = sleep;
            }
            if taken.is_some() {
                node.begin(branches.remove(0).next);
            }
            node.planned.append(&mut branches);
            let mut next = at;
            if taken.is_some() && points.peek().is_some() {
                next = self.next;
                self.next += 1;
                let last = node.begun.len() - 1;
                node.begun[last].child = Some(next);
                self.nodes.insert(next, Node::new(Some((at, last)), depth + index + 1, taken));
                path.push(next);
            } else if let Some(last) = node.begun.last_mut().filter(|_| taken.is_some()) {
                last.is_explored = true;
            }
            self.update_open(at);
            at = next;
        }
        self.plan_waiting(from);
        for (branch, sequence) in report.covered {
            self.plan(from, branch, sequence);
        }
        for (position, sequence) in report.plans {
            let Some(id) = path.get(position) else { continue };
            let branch = match path.get(position + 1) {
                Some(child) => self.nodes.get(child).and_then(|child| child.parent).map(|(_, branch)| branch),
                None => self.nodes.get(id).and_then(|node| node.begun.len().checked_sub(1)),
            };
            self.plan(*id, branch, sequence);
        }
        self.close(at);
    }

    /// Records an execution in which the processes behaved differently than before at the decision `position`. The plans
    /// after it are dropped.
    pub fn record_divergence(&mut self, ticket: Ticket, position: usize, mut report: Report) {
        let Some(from) = self.in_progress.get(&ticket).map(|one| one.from) else { return };
        let path = self.path_to(from);
        match path.get(position + 1) {
            // It was one of the repeated decisions.
            Some(child) => {
                self.in_progress.remove(&ticket);
                let parent = self.nodes.get(child).and_then(|node| node.parent);
                self.remove(*child);
                if let Some((parent, branch)) = parent {
                    self.finish(parent, branch);
                    self.close(parent);
                }
            }
            None => {
                report.points.truncate((position + 1).saturating_sub(path.len() - 1));
                report.plans.clear();
                self.record(ticket, report);
            }
        }
    }

    /// Plans an assignment again that was not carried out.
    pub fn take_back(&mut self, ticket: Ticket) {
        let branch = self.in_progress.get(&ticket).and_then(|one| one.branch.clone());
        let Some(from) = self.settle(ticket) else { return };
        if from == 0 && branch.is_none() {
            self.has_begun = false;
            return;
        }
        if let Some(node) = self.nodes.get_mut(&from) {
            node.planned.splice(0..0, branch);
        }
        self.update_open(from);
        self.plan_waiting(from);
    }

    /// Plans again all assignments that have not been reported.
    pub fn take_back_all(&mut self) {
        while let Some(ticket) = self.in_progress.keys().next_back().copied() {
            self.take_back(ticket);
        }
    }

    /// The explored share of the search. Only planned branches are counted. More are added during the search, so the share
    /// can decrease.
    pub fn explored(&self) -> f64 {
        if self.nodes.is_empty() {
            return 1.0;
        }
        let mut explored = 0.0;
        let mut shares: BTreeMap<u64, f64> = BTreeMap::new();
        for (id, node) in &self.nodes {
            let share = node.parent.and_then(|(parent, _)| shares.get(&parent)).copied().unwrap_or(1.0);
            let share = share / (node.begun.len() + node.planned.len()).max(1) as f64;
            explored += share * node.begun.iter().filter(|branch| branch.is_explored).count() as f64;
            shares.insert(*id, share);
        }
        explored.min(1.0)
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    /// The nodes from the root to this one.
    fn path_to(&self, id: u64) -> Vec<u64> {
        let mut path = vec![id];
        while let Some((parent, _)) = self.nodes.get(&path[path.len() - 1]).and_then(|node| node.parent) {
            path.push(parent);
        }
        path.reverse();
        path
    }

    /// Ends an assignment as if it had not been handed out. Returns the point at which it began; `None` if that is gone.
    fn settle(&mut self, ticket: Ticket) -> Option<u64> {
        let InProgress { from, branch } = self.in_progress.remove(&ticket)?;
        let node = self.nodes.get_mut(&from)?;
        node.is_waiting = false;
        if branch.is_some() {
            node.begun.pop();
        }
        Some(from)
    }

    /// Plans what waited for a report.
    fn plan_waiting(&mut self, id: u64) {
        let plans = self.nodes.get_mut(&id).map(|node| std::mem::take(&mut node.plans));
        for (branch, sequence) in plans.into_iter().flatten() {
            self.plan(id, branch, sequence);
        }
    }

    /// Plans `sequence` at a point, instead of its `branch` with which the first step of a race was taken. If the point is
    /// only passed on the way to another, `branch` is `None`.
    fn plan(&mut self, mut id: u64, mut branch: Option<usize>, mut sequence: Vec<Move>) {
        while let Some(node) = self.nodes.get_mut(&id) {
            if node.is_waiting {
                node.plans.push((branch, sequence));
                return;
            }
            let (before, after) = node.begun.split_at(branch.map_or(0, |branch| branch + 1));
            let mut before = before.iter().map(|begun| &begun.next).chain(&node.sleep);
            if branch.is_some() && before.any(|asleep| asleep.is_weak_initial(&sequence)) {
                return;
            }
            let Some(begun) = after.iter().find(|begun| begun.next.is_weak_initial(&sequence)) else {
                plan(&mut node.planned, sequence, branch);
                self.reopen(id);
                return;
            };
            without(&mut sequence, &begun.next);
            let Some(child) = begun.child.filter(|_| !sequence.is_empty()) else { return };
            (id, branch) = (child, None);
        }
    }

    fn update_open(&mut self, id: u64) {
        let Some(node) = self.nodes.get(&id) else { return };
        if node.planned.is_empty() {
            self.open.remove(&(node.depth, id));
        } else {
            self.open.insert((node.depth, id));
        }
    }

    /// Something was planned at this point: the branches that lead to it are not explored.
    fn reopen(&mut self, mut id: u64) {
        self.update_open(id);
        while let Some((parent, branch)) = self.nodes.get(&id).and_then(|node| node.parent) {
            let Some(begun) = self.nodes.get_mut(&parent).and_then(|node| node.begun.get_mut(branch)) else {
                return;
            };
            if !std::mem::replace(&mut begun.is_explored, false) {
                return;
            }
            id = parent;
        }
    }

    /// Closes the points from here to the root below which nothing is left.
    fn close(&mut self, mut id: u64) {
        while self.nodes.get(&id).is_some_and(Node::is_explored) {
            let Some((parent, branch)) = self.nodes[&id].parent else {
                self.nodes.clear();
                return;
            };
            self.finish(parent, branch);
            id = parent;
        }
    }

    /// A branch of this point has been explored. Removes what is below it and below later branches, as far as earlier ones
    /// cannot require anything there.
    fn finish(&mut self, id: u64, branch: usize) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        node.begun[branch].is_explored = true;
        if !node.plans.is_empty() || self.is_overtaking(id) {
            return;
        }
        let Some(node) = self.nodes.get_mut(&id) else { return };
        let explored = node.begun.iter_mut().take_while(|branch| branch.is_explored);
        let gone: Vec<u64> = explored.filter_map(|branch| branch.child.take()).collect();
        for child in gone {
            self.remove(child);
        }
    }

    /// Whether an earlier branch at a point before is not explored, or something that it requires waits there.
    fn is_overtaking(&self, id: u64) -> bool {
        let mut at = self.nodes.get(&id).and_then(|node| node.parent);
        while let Some((parent, branch)) = at {
            let Some(node) = self.nodes.get(&parent) else { return false };
            if !node.plans.is_empty() || node.begun[..branch].iter().any(|earlier| !earlier.is_explored) {
                return true;
            }
            at = node.parent;
        }
        false
    }

    /// Removes a node and everything below it.
    fn remove(&mut self, id: u64) {
        let mut gone = vec![id];
        while let Some(id) = gone.pop() {
            let Some(node) = self.nodes.remove(&id) else { continue };
            self.open.remove(&(node.depth, id));
            gone.extend(node.begun.iter().filter_map(|branch| branch.child));
        }
    }
}
