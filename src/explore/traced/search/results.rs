//! The results of a search.

use std::sync::Arc;

use super::Searcher;
use crate::explore::traced::findings::{Findings, Found};
use crate::explore::traced::machine::TracedError;
use crate::explore::traced::outcome::Outcome;
use crate::explore::traced::verdict::Verdict;

impl Searcher<'_> {
    /// Whether the witness of an outcome is left out, because only wrong outcomes are looked for.
    fn is_incidental(&self, outcome: &Arc<Outcome>) -> bool {
        let checked = self.checked.get(outcome).map(Option::as_ref);
        self.criteria
            .zip(checked)
            .is_some_and(|(criteria, checked)| criteria.judge(outcome, checked).0 == Verdict::Ok)
    }

    /// The outcomes, with a verified witness of each.
    pub(super) fn outcomes(&mut self) -> Result<Vec<Found>, TracedError> {
        if self.graph.is_some() {
            self.tell_at_once(false);
        }
        let mut outcomes = Vec::new();
        for (outcome, found) in std::mem::take(&mut self.tally.outcomes) {
            outcomes.push(Found {
                executions: found.count,
                classes: found.classes,
                schedules: (!found.estimated).then_some(found.represents),
                switches: found.cost.switches,
                witness: match self.is_incidental(&outcome) {
                    true => Vec::new(),
                    false => self.verified(&outcome, &found.witness)?,
                },
                checked: self.checked.get(&outcome).cloned().flatten(),
                outcome: (*outcome).clone(),
                facts: self.machine.world.learned.clone(),
            });
        }
        Ok(outcomes)
    }

    pub(super) fn findings(mut self, mut outcomes: Vec<Found>, ended: bool) -> Findings {
        if !self.how.naive {
            let reason = match self.how.kills {
                0 => None,
                1 => self
                    .machine
                    .world
                    .decides_signals()
                    .then_some("a kill beside signals whose moment matters"),
                _ => Some("more than one kill"),
            };
            if let Some(reason) = reason {
                self.note(format!(
                    "{reason}: the reduced search may leave out a class, which --naive does not"
                ));
            }
        }
        if let Some(most) = self.how.preemptions {
            self.note(format!("schedules with more than {most} preemptions were not executed"));
        }
        // Suspicious outcomes first, then the rarest.
        outcomes.sort_by_key(|found| (!found.outcome.is_suspicious(), found.classes));
        Findings {
            complete: ended && self.tally.uncontrolled.is_empty(),
            ended,
            sampled: self.sampled,
            executions: self.tally.schedules.saturating_sub(self.sampled),
            given_up: self.tally.given_up,
            classes: self.tally.classes(),
            uncontrolled: self.tally.uncontrolled,
            outcomes,
            position: None,
        }
    }
}
