//! Records executions, and reports them.

use super::Searcher;
use crate::explore::engine::{System, Trace};
use crate::explore::traced::machine::TracedError;
use crate::explore::traced::outcome::Outcome;
use crate::explore::traced::progress::Progress;
use crate::explore::traced::verdict::Verdict;

/// What is noted of two executions that were assumed to be equivalent.
pub(super) const AMBIGUOUS: &str = "two equivalent schedules that ended differently";

impl Searcher<'_> {
    pub(super) fn record(&mut self, trace: &Trace) -> Result<(), TracedError> {
        let outcome = self.machine.judge(trace)?;
        self.note_all(&outcome, self.machine.uncontrolled());
        if self.tally.record(&outcome, trace).is_err() {
            self.note(AMBIGUOUS);
        }
        if let Some(graph) = &mut self.graph {
            graph.end(&outcome);
        }
        self.last = Some(outcome);
        Ok(())
    }

    pub(super) fn note_all(&mut self, outcome: &Outcome, uncontrolled: Vec<(String, u64)>) {
        for (what, count) in uncontrolled {
            *self.tally.uncontrolled.entry(what).or_insert(0) += count;
        }
        if let Some(cut) = &outcome.cut {
            self.note(format!("cut short: {cut}"));
        }
    }

    /// Judges the outcome of the last execution if it is new, once nothing of that execution is left.
    pub(super) fn judge_last(&mut self) -> Result<(), TracedError> {
        let Some((criteria, outcome)) = self.criteria.zip(self.last.clone()) else { return Ok(()) };
        if self.checked.contains_key(&outcome) {
            return Ok(());
        }
        self.machine.end_all()?;
        // A check that cannot be run is run once more after the search, and reported then.
        let Ok(checked) = criteria.check(&outcome, self.machine.root()) else { return Ok(()) };
        if criteria.judge(&outcome, checked.as_ref()).0 != Verdict::Ok {
            let carried_out = self.carried_out();
            self.wrong.get_or_insert(carried_out);
        }
        self.checked.insert(outcome, checked);
        Ok(())
    }

    pub(in crate::explore::traced) fn note(&mut self, what: impl Into<String>) {
        *self.tally.uncontrolled.entry(what.into()).or_insert(0) += 1;
    }

    pub(super) fn tell(&mut self, explored: Option<f64>) {
        let outcomes = self.tally.outcomes.len() as u64;
        let is_new = outcomes > self.told;
        (self.told, self.explored) = (outcomes, explored);
        let new = self.last.clone().filter(|_| is_new).map(|last| {
            let first = self.first.get_or_insert_with(|| last.clone());
            last.headline(first).text
        });
        // What is new in the graph is taken only if it is reported.
        if is_new || self.watcher.is_due() {
            let progress = Progress { new, ..self.progress() };
            self.watcher.goes_on(&progress);
        }
    }

    /// Reports everything that was not reported yet.
    pub(super) fn tell_at_once(&mut self, rests: bool) {
        let progress = Progress { rests, ..self.progress() };
        self.watcher.hurry();
        self.watcher.goes_on(&progress);
    }

    pub(super) fn progress(&mut self) -> Progress {
        let (names, facts) = (&self.machine.names, &self.machine.world.learned);
        Progress {
            executions: self.tally.schedules,
            classes: self.tally.classes(),
            outcomes: self.tally.outcomes.len() as u64,
            explored: self.explored,
            new: None,
            rests: false,
            wants_jobs: self.wants_jobs,
            graph: self.graph.as_mut().map(|graph| Box::new(graph.take(&self.tally, names, facts))),
        }
    }
}
