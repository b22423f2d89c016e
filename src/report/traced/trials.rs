//! What free runs of a command showed: how often each outcome occurred, with its interval.

use std::fmt::Write;

use comfy_table::{ContentArrangement, Table};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::differences;
use super::text::count;
use super::view::{Counts, TracedOutcome};
use crate::explore::statistics::wilson;
use crate::explore::traced::{Checked, Criteria, Rates, Verdict, Why};
use crate::report::witness::RULED;

/// Free runs of a command.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TracedTrials {
    /// The command.
    pub command: Vec<String>,
    /// How many runs there were.
    pub trials: u64,
    /// Whether they were broken off (Ctrl-C) before all of them were run.
    pub interrupted: bool,
    /// How long they took together.
    pub seconds: f64,
    /// The outcomes: first those that are wrong, and of these the rarest.
    pub outcomes: Vec<TracedRate>,
}

/// How often an outcome occurred.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TracedRate {
    /// In how many runs.
    pub count: u64,
    /// The share of the runs.
    pub rate: f64,
    /// The lower end of the 95 % Wilson interval.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
    /// The outcome. A free run tells the processes' output together, and only the command's own exit status.
    #[serde(flatten)]
    pub outcome: TracedOutcome,
}

impl TracedTrials {
    /// The view of `rates`, with what the check said of each outcome; `wanted` is how many runs were asked for.
    pub fn new(
        command: &[String],
        rates: &Rates,
        checked: &[Option<Checked>],
        criteria: &Criteria,
        wanted: u64,
    ) -> Self {
        let rate = |((outcome, count), checked): (&(_, u64), &Option<Checked>)| {
            let (low, high) = wilson(*count, rates.runs);
            let counts = Counts { executions: *count, ..Counts::default() };
            TracedRate {
                count: *count,
                rate: *count as f64 / rates.runs.max(1) as f64,
                low,
                high,
                outcome: TracedOutcome::new(outcome, checked.as_ref(), criteria, counts, String::new(), &[]),
            }
        };
        let mut outcomes: Vec<TracedRate> = rates.outcomes.iter().zip(checked).map(rate).collect();
        if criteria.expect_same {
            let usual = outcomes.iter().map(|rate| rate.count).max();
            let mut is_first = true;
            for rate in &mut outcomes {
                let is_usual = Some(rate.count) == usual && std::mem::replace(&mut is_first, false);
                if !is_usual && rate.outcome.verdict == Verdict::Ok {
                    rate.outcome.verdict = Verdict::CheckFailed;
                    rate.outcome.why = Some(Why::NotTheSame.into());
                }
            }
        }
        outcomes.sort_by_key(|rate| (rate.outcome.verdict, rate.count));
        let interrupted = rates.runs < wanted;
        Self { command: command.to_vec(), trials: rates.runs, interrupted, seconds: rates.seconds, outcomes }
    }

    /// Whether every outcome is right.
    pub fn is_right(&self) -> bool {
        self.outcomes.iter().all(|rate| rate.outcome.verdict == Verdict::Ok)
    }

    /// For people, at most `width` columns wide.
    pub fn text(&self, width: u16) -> String {
        let mut text = format!("{}\n", self.command.join(" ").replace(char::is_control, " "));
        let _ = writeln!(
            text,
            "{}, {}, in {:.1} s; a rate is of this machine, and no proof",
            count(self.trials, "free run"),
            count(self.outcomes.len() as u64, "outcome"),
            self.seconds
        );
        if self.interrupted {
            text.push_str("broken off before all runs were made\n");
        }
        let mut table = Table::new();
        table.load_style(RULED);
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
        table.set_header(["outcome", "verdict", "runs", "rate", "95 % interval"]);
        for (number, rate) in self.outcomes.iter().enumerate() {
            table.add_row([
                (number + 1).to_string(),
                rate.outcome.verdict.to_string(),
                rate.count.to_string(),
                format!("{:.1} %", rate.rate * 100.0),
                format!("{:.1} to {:.1} %", rate.low * 100.0, rate.high * 100.0),
            ]);
        }
        for line in table.lines() {
            let _ = writeln!(text, "{}", line.trim_end());
        }
        let usual = self.outcomes.iter().max_by_key(|rate| (rate.outcome.verdict == Verdict::Ok, rate.count));
        for (number, rate) in self.outcomes.iter().enumerate() {
            let is_usual = usual.is_some_and(|usual| std::ptr::eq(usual, rate));
            let name = if is_usual && self.outcomes.len() > 1 { ", the usual one" } else { "" };
            let _ = writeln!(text, "\noutcome {}: {}{name}", number + 1, rate.outcome.verdict);
            if let Some(why) = &rate.outcome.why {
                let _ = writeln!(text, "  {why}");
            }
            let lines = match usual.filter(|_| !is_usual) {
                Some(usual) => differences::between(&rate.outcome, &usual.outcome),
                None => differences::whole(&rate.outcome),
            };
            for line in lines {
                let _ = writeln!(text, "  {line}");
            }
        }
        text
    }
}
