//! The text for people: what was found, the most surprising first, and how to see it again.

use std::fmt::Write;

use super::differences;
use super::table::table;
use super::view::{TracedExploration, TracedOutcome};
use crate::explore::traced::Verdict;

/// Outcomes of which a witness is shown; of the others one line each.
const TOLD: usize = 8;

impl TracedExploration {
    /// For people, at most `width` columns wide; `again` is the command that replays a token.
    pub fn text(&self, width: u16, again: impl Fn(&str) -> String) -> String {
        let mut text = format!("{}\n", wrapped(&self.command.join(" "), width));
        text.push_str(&self.summary());
        let usual = self.usual();
        for (number, outcome) in self.outcomes.iter().enumerate() {
            let number = number + 1;
            let is_usual = usual.is_some_and(|usual| std::ptr::eq(usual, outcome));
            let name = if is_usual && self.outcomes.len() > 1 { ", the usual one" } else { "" };
            let _ = writeln!(text, "\noutcome {number}: {}{name}: {}", outcome.verdict, self.share(outcome));
            if number > TOLD && !is_usual {
                let _ = writeln!(text, "  again: {}", again(&outcome.token));
                continue;
            }
            let compared = usual.filter(|_| !is_usual);
            text.push_str(&outcome.text(compared, width, &again(&outcome.token)));
        }
        text
    }

    fn summary(&self) -> String {
        let mut text = String::new();
        let word = if self.complete { "complete" } else { "bounded" };
        let _ = writeln!(
            text,
            "{word}: {} in {} of schedules, {} in {:.1} s",
            count(self.outcomes.len() as u64, "outcome"),
            count(self.classes, "class"),
            count(self.executions, "execution"),
            self.seconds,
        );
        match self.schedules {
            Some(schedules) if self.complete => {
                let _ = writeln!(text, "every interleaving of the steps: {}", count(schedules, "schedule"));
            }
            _ if self.complete => {
                text.push_str("every interleaving of the steps; too many schedules to count\n")
            }
            _ => {}
        }
        for reason in &self.bounded_by {
            let _ = writeln!(text, "  {reason}");
        }
        text
    }

    fn share(&self, outcome: &TracedOutcome) -> String {
        let mut text = format!(
            "{} of {}, {} of {}",
            outcome.executions,
            count(self.executions, "execution"),
            outcome.classes,
            count(self.classes, "class"),
        );
        if let (Some(part), Some(all)) = (outcome.schedules, self.schedules) {
            let _ = write!(text, ", {part} of {}", count(all, "schedule"));
        }
        text
    }
}

impl TracedOutcome {
    /// For people: why, how it differs from `usual`, the witness, and how to see it again.
    pub fn text(&self, usual: Option<&Self>, width: u16, again: &str) -> String {
        let mut text = String::new();
        if let Some(why) = &self.why {
            let _ = writeln!(text, "  {why}");
        }
        for wait in &self.deadlock {
            let held = if wait.held_by.is_empty() {
                String::new()
            } else {
                format!(", held by {}", wait.held_by.join(", "))
            };
            let _ = writeln!(text, "  {} waits in {} for {}{held}", wait.task, wait.call, wait.object);
        }
        if let Some(check) =
            self.check.as_ref().filter(|check| !check.is_empty() && self.verdict != Verdict::Ok)
        {
            for line in check.lines().take(10) {
                let _ = writeln!(text, "  check: {}", line.escape_debug());
            }
        }
        let lines = usual.map_or_else(|| differences::whole(self), |usual| differences::between(self, usual));
        for line in lines {
            let _ = writeln!(text, "  {line}");
        }
        if !self.witness.is_empty() {
            let switches = count(self.switches as u64, "switch");
            let _ = writeln!(
                text,
                "  shortest schedule: {}, {switches}",
                count(self.witness.len() as u64, "step")
            );
            text.push_str(&table(&self.witness, width));
        }
        if !again.is_empty() {
            let _ = writeln!(text, "again: {again}");
        }
        text
    }
}

/// A number and what it counts.
pub(super) fn count(number: u64, what: &str) -> String {
    match (number, what) {
        (1, what) => format!("1 {what}"),
        (number, what) if what.ends_with('s') || what.ends_with("ch") => format!("{number} {what}es"),
        (number, what) => format!("{number} {what}s"),
    }
}

/// The beginning of a line that is longer than the window.
fn wrapped(line: &str, width: u16) -> String {
    let line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if line.chars().count() <= usize::from(width) {
        return line;
    }
    line.chars().take(usize::from(width).saturating_sub(1)).chain(['…']).collect()
}
