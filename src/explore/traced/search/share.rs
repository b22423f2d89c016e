//! Shares a search with other engines.

use std::sync::Arc;

use super::record::AMBIGUOUS;
use super::{DIVERGED, Searcher};
use crate::explore::search::{Class, Measure};
use crate::explore::strategy::Strategy;
use crate::explore::strategy::dpor::Dpor;
use crate::explore::traced::jobs::News;
use crate::explore::traced::machine::TracedError;
use crate::explore::traced::outcome::Outcome;
use crate::wire::control::Receiver;

impl Searcher<'_> {
    /// Receives the ends of engines that have been started.
    pub(super) fn admit(&mut self) {
        while let Some(Ok(further)) = self.hired.map(Receiver::try_recv) {
            self.engines.add(further);
        }
    }

    /// Lets other engines execute, and records what they report within a moment. Returns whether anything is left.
    pub(super) fn share(&mut self, dpor: &mut Dpor) -> Result<bool, TracedError> {
        if dpor.is_exhausted() {
            return Ok(false);
        }
        let under_way = self.carried_out() + self.engines.in_progress();
        let most = self.how.executions.map_or(u64::MAX, |most| most.saturating_sub(under_way));
        self.engines.hand_out(dpor.tree(), self.machine, self.how.kills, most);
        self.watcher.await_any(&self.engines.fds());
        while let Some((divergences, news)) = self.engines.receive(dpor.tree(), self.machine) {
            self.divergences += divergences;
            for _ in 0..divergences {
                self.note(DIVERGED);
            }
            match news {
                News::Learned => {
                    self.machine.world.has_learned = true;
                    return Ok(true);
                }
                News::Complete { outcome, class, measure, uncontrolled } => {
                    self.add(outcome, uncontrolled, (class, *measure));
                    self.tell(dpor.explored());
                    self.judge_last()?;
                }
                News::GivenUp => self.tally.given_up += 1,
                News::Nothing => {}
            }
        }
        if self.watcher.is_due() {
            self.tell_at_once(false);
        }
        Ok(true)
    }

    /// Records an execution of another engine.
    fn add(
        &mut self,
        outcome: Arc<Outcome>,
        uncontrolled: Vec<(String, u64)>,
        (class, measure): (Class, Measure),
    ) {
        self.note_all(&outcome, uncontrolled);
        if self.tally.add(&outcome, class, Some(measure)).is_err() {
            self.note(AMBIGUOUS);
        }
        self.last = Some(outcome);
    }
}
