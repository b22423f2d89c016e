//! All locks side by side.

use comfy_table::{ContentArrangement, Table};
use schemars::JsonSchema;
use serde::Serialize;

use super::exploration::Exploration;
use super::witness::RULED;
use crate::scenario::run::verdict::Verdict;

/// What exploration found of every lock.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Cabinet {
    /// How many buyers there were.
    pub buyers: usize,
    /// How many tickets.
    pub stock: i64,
    /// The locks.
    pub locks: Vec<LockView>,
    /// The whole exercise: the right lock, with the search outside of it.
    pub notes: Exploration,
}

/// What exploration found of one lock.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct LockView {
    /// The lock's name.
    pub lock: String,
    /// Whether it is right: in all schedules, also if a buyer is killed, with a store that a kill
    /// leaves whole.
    pub right: bool,
    /// Why it works or not, in two sentences.
    pub why: String,
    /// No buyer is killed.
    pub plain: Exploration,
    /// One buyer is killed, at each step of every schedule.
    pub killed: Exploration,
    /// The median cost of a purchase without contention, in microseconds; null if it does
    /// not come to an end.
    pub median_us: Option<f64>,
}

impl Cabinet {
    /// The table, at most `width` columns wide, and why each lock works or not.
    pub fn text(&self, width: u16) -> String {
        let mut table = Table::new();
        table.load_style(RULED);
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
        table.set_header(["lock", "schedules", "result", "deadlocks", "if one is killed", "purchase"]);
        for view in &self.locks {
            table.add_row([
                view.lock.clone(),
                count(&view.plain),
                result(&view.plain),
                deadlocks(&view.plain),
                result(&view.killed),
                view.median_us.map_or("never ends".to_owned(), |median| format!("{median:.0} µs")),
            ]);
        }
        let mut text =
            format!("{} buyers, {} in stock, no search outside the lock\n", self.buyers, self.stock);
        for line in table.lines() {
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text.push_str("purchase: median of free purchases without contention\n\n");
        for view in &self.locks {
            text.push_str(&fill(&format!("{:<17}{}", view.lock, view.why), usize::from(width)));
        }
        text.push_str("\nthe whole exercise, with its search outside the lock: ");
        text.push_str(&self.notes.text(width));
        text
    }
}

/// How many interleavings there are, whether each was executed or one of each class.
fn count(exploration: &Exploration) -> String {
    let bounded = if exploration.complete { "" } else { " or more" };
    format!("{}{bounded}", exploration.represented)
}

fn result(exploration: &Exploration) -> String {
    if exploration.is_right() {
        return if exploration.complete { "right" } else { "right as far as seen" }.to_owned();
    }
    let wrong = exploration.outcomes.iter().filter(|outcome| outcome.verdict != Verdict::Ok);
    let wrong: Vec<_> = wrong
        .map(|outcome| format!("{} in {} of {}", outcome.verdict, outcome.represented, count(exploration)))
        .collect();
    wrong.join(", ")
}

fn deadlocks(exploration: &Exploration) -> String {
    let found = exploration.outcomes.iter().find(|outcome| outcome.verdict == Verdict::Deadlock);
    found.map_or("none".to_owned(), |outcome| format!("{} of {}", outcome.represented, count(exploration)))
}

/// Breaks `text` at blanks so that no line is longer than `width`; the others are indented.
fn fill(text: &str, width: usize) -> String {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().map(|line| line.chars().count()).unwrap_or(0);
        if line + word.chars().count() + 1 > width && line > 17 {
            lines.push(" ".repeat(17));
        } else if line > 0 && lines.last().is_some_and(|line| line.len() != 17) {
            lines.last_mut().expect("there is one").push(' ');
        }
        lines.last_mut().expect("there is one").push_str(word);
    }
    lines.join("\n") + "\n"
}
