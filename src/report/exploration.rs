//! What an exploration found: both counts, the outcomes, and a witness of each.

use std::fmt::Write;

use schemars::JsonSchema;
use serde::Serialize;

use super::witness::Witness;
use crate::scenario::experiment::Subject;
use crate::scenario::run::verdict::Verdict;

/// What an exploration found.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Exploration {
    /// What was explored.
    #[serde(flatten)]
    pub subject: Subject,
    /// How the decisions were made: `dfs`, `random`, `uniform` or `pct`.
    pub strategy: String,
    /// From which seed, if by chance.
    pub seed: Option<u64>,
    /// How many processes may be killed in a schedule.
    pub kills: usize,
    /// Whether one schedule of each class was enough.
    pub reduced: bool,
    /// How many schedules were executed to their end.
    pub schedules: u64,
    /// Whether these are all there are (of each class one, if reduced): then the answer is proved for
    /// these parameters, otherwise it is bounded.
    pub complete: bool,
    /// How many classes of equivalent schedules were seen.
    pub classes: u64,
    /// How many schedules these classes hold together.
    pub represented: u64,
    /// In how many of the executed schedules no process was killed.
    pub unharmed: u64,
    /// Executions that were begun and given up, for they would have repeated a class.
    pub given_up: u64,
    /// How long it took.
    pub seconds: f64,
    /// Their outcomes, the worst first.
    pub outcomes: Vec<OutcomeView>,
}

/// One outcome.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct OutcomeView {
    /// What it is.
    pub verdict: Verdict,
    /// How many of the executed schedules ended so.
    pub count: u64,
    /// In how many of these no process was killed.
    pub unharmed: u64,
    /// How many classes end so.
    pub classes: u64,
    /// How many schedules these classes hold together.
    pub represented: u64,
    /// The shortest schedule that ends so; `proclab replay` runs it again.
    pub token: String,
    /// That schedule, as it was replayed once on real processes.
    pub witness: Witness,
}

impl Exploration {
    /// Whether every schedule that was seen is right.
    pub fn is_right(&self) -> bool {
        self.outcomes.iter().all(|outcome| outcome.verdict == Verdict::Ok)
    }

    /// The text, at most `width` columns wide.
    pub fn text(&self, width: u16) -> String {
        let mut text = self.headline();
        for outcome in &self.outcomes {
            let _ = write!(text, "\n{}\n", self.outcome(outcome));
            if outcome.verdict == Verdict::Ok && self.outcomes.len() > 1 {
                let _ = writeln!(text, "  proclab replay {}", outcome.token);
                continue;
            }
            let witness = &outcome.witness;
            let _ = writeln!(
                text,
                "shortest schedule: {} and {}",
                plural(witness.switches as u64, "switch", "switches"),
                plural(witness.preemptions as u64, "preemption", "preemptions")
            );
            text.push_str(&witness.table(width));
            let _ = writeln!(text, "again: proclab replay {}", outcome.token);
        }
        text
    }

    fn headline(&self) -> String {
        let mut text = format!("{} {}", self.subject.scenario, self.subject.options);
        if self.kills > 0 {
            let _ = write!(text, " --kills {}", self.kills);
        }
        text.push('\n');
        let schedules = plural(self.schedules, "schedule", "schedules");
        let classes = plural(self.classes, "class", "classes");
        let _ = match (self.complete, self.reduced) {
            (true, false) => {
                writeln!(text, "{schedules}: every interleaving of the steps, in {classes}")
            }
            (true, true) => writeln!(
                text,
                "{schedules}, one of each class: they stand for all {} interleavings",
                self.represented
            ),
            (false, true) => writeln!(
                text,
                "bounded: {schedules} of as many classes, which stand for {} interleavings; there are more",
                self.represented
            ),
            (false, false) => writeln!(text, "bounded: {schedules} in {classes}; there may be more"),
        };
        if self.kills > 0 {
            let harmed = self.schedules - self.unharmed;
            let _ = writeln!(text, "in {harmed} of them a process is killed");
        }
        let verdict = match (self.is_right(), self.complete) {
            (true, true) => "proved for these parameters: every schedule is right\n".to_owned(),
            (true, false) => "none of them is wrong, which proves nothing about the others\n".to_owned(),
            (false, _) => String::new(),
        };
        text.push_str(&verdict);
        let _ = write!(text, "{:.2} s on real processes", self.seconds);
        if self.schedules >= 100 {
            let _ =
                write!(text, ", {:.0} schedules a second", self.schedules as f64 / self.seconds.max(1e-9));
        }
        text.push_str("; a share of schedules is no probability\n");
        text
    }

    fn outcome(&self, outcome: &OutcomeView) -> String {
        let name = outcome.verdict;
        if self.reduced {
            format!(
                "{name}: {} of {} classes, {} of {} interleavings",
                outcome.classes, self.classes, outcome.represented, self.represented
            )
        } else {
            format!(
                "{name}: {} of {} schedules, {} of {} classes",
                outcome.count, self.schedules, outcome.classes, self.classes
            )
        }
    }
}

fn plural(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}
