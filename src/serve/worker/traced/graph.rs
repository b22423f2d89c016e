//! The graph of a search through the schedules of a program, as the page draws it.

use std::collections::BTreeSet;

use crate::explore::traced::{Command, Criteria, GraphGrowth, GraphOutcome, Outcome, Verdict, token};
use crate::serve::protocol::{ProgramEnd, ProgramNode};

/// An edge, as it is reported: from, to, the task, the call in words.
type Edge = (usize, usize, String, String);

/// The graph as far as the engine has reported it.
pub(super) struct Graph<'a> {
    command: &'a Command,
    criteria: &'a Criteria,
    nodes: Vec<ProgramNode>,
    /// For each node the one before it, and the choice there.
    from: Vec<Option<(usize, String)>>,
    edges: Vec<Edge>,
    /// The outcomes, in the order in which they were found.
    outcomes: Vec<Outcome>,
    pub(super) hidden: u64,
    pub(super) ends: Vec<ProgramEnd>,
}

impl<'a> Graph<'a> {
    pub(super) fn new(command: &'a Command, criteria: &'a Criteria) -> Self {
        let (nodes, from, edges, outcomes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { command, criteria, nodes, from, edges, outcomes, hidden: 0, ends: Vec::new() }
    }

    /// Everything.
    pub(super) fn whole(&self) -> (Vec<ProgramNode>, Vec<Edge>) {
        (self.nodes.clone(), self.edges.clone())
    }

    /// Takes what is new, and returns it as it is reported.
    pub(super) fn grow(&mut self, growth: &GraphGrowth) -> (Vec<ProgramNode>, Vec<Edge>) {
        if growth.fresh {
            *self = Self::new(self.command, self.criteria);
        }
        self.hidden = growth.hidden;
        let mut nodes = Vec::new();
        for node in &growth.nodes {
            if node.id == self.from.len() {
                self.from.push(node.from.clone());
            }
            let view = ProgramNode {
                id: node.id,
                depth: node.depth,
                schedule: token::encode(self.command, self.path(node.id), &growth.facts),
                at: node.at.clone(),
                shared: node
                    .files
                    .iter()
                    .map(|(path, text)| (path.clone(), text.trim_end().to_owned()))
                    .collect(),
                outcome: node.outcome,
            };
            match self.nodes.get_mut(node.id) {
                Some(known) => *known = view.clone(),
                None => self.nodes.push(view.clone()),
            }
            nodes.push(view);
        }
        let edges = growth.edges.iter();
        let edges: Vec<Edge> =
            edges.map(|edge| (edge.from, edge.to, edge.choice.clone(), edge.words.clone())).collect();
        self.edges.extend(edges.iter().cloned());
        self.outcomes.extend(growth.outcomes.iter().filter_map(|found| found.outcome.clone()));
        self.ends = self.judge(&growth.outcomes, &growth.facts);
        (nodes, edges)
    }

    /// The choices that lead to a node.
    fn path(&self, id: usize) -> Vec<String> {
        let mut choices = Vec::new();
        let mut at = self.from.get(id);
        while let Some(Some((before, choice))) = at {
            choices.push(choice.clone());
            at = self.from.get(*before);
        }
        choices.reverse();
        choices
    }

    fn judge(&self, found: &[GraphOutcome], facts: &BTreeSet<String>) -> Vec<ProgramEnd> {
        let usual = found.iter().max_by_key(|found| (found.classes, found.executions));
        let ends = self.outcomes.iter().zip(found).map(|(outcome, found)| {
            let (verdict, why) = self.criteria.judge(outcome, None);
            let differs = self.criteria.expect_same
                && verdict == Verdict::Ok
                && usual.is_some_and(|usual| usual != found);
            let verdict = if differs { Verdict::CheckFailed } else { verdict };
            ProgramEnd {
                verdict: verdict.to_string(),
                is_right: verdict == Verdict::Ok,
                why,
                headline: outcome.headline(&self.outcomes[0]),
                executions: found.executions,
                classes: found.classes,
                switches: found.switches,
                schedule: token::encode(self.command, &found.schedule, facts),
                node: found.node,
            }
        });
        ends.collect()
    }
}
