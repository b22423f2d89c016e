//! Who did the same work, and how fast: figures, and ratios of ours to each peer's.

use super::trials::{Spread, lines, ruled};
use crate::scenario::contest::{Contest, Entry, Work};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// A contest and its ratios.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Bench {
    /// What was done, by whom, how fast.
    #[serde(flatten)]
    pub contest: Contest,
    /// Each peer beside the one of ours that does the same.
    pub figures: Vec<Figure>,
}

/// One of ours beside one peer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Figure {
    /// Which of ours.
    pub ours: String,
    /// Which peer.
    pub peer: String,
    /// Above 1 ours is better: so many times as fast, in the medians.
    pub ratio: f64,
}

impl Bench {
    /// The ratios of a contest.
    pub fn new(contest: Contest) -> Self {
        let faster = |ours: f64, peer: f64| match contest.work {
            Work::Start => peer / ours,
            Work::Queue { .. } => ours / peer,
        };
        let figures = contest.entries.iter().filter_map(|peer| {
            let beside = peer.beside.as_ref()?;
            let ours = contest.entries.iter().find(|entry| entry.name == *beside)?;
            let ratio = faster(median(ours)?, median(peer)?);
            Some(Figure { ours: ours.name.clone(), peer: peer.name.clone(), ratio })
        });
        let figures = figures.collect();
        Bench { contest, figures }
    }

    /// The table, at most `width` columns wide, and a line for each ratio that a program can read.
    pub fn text(&self, width: u16) -> String {
        let Contest { work, rounds, processors, kernel, entries, left_out, .. } = &self.contest;
        let what = match work {
            Work::Start => "a process that does nothing, started and joined; microseconds".to_owned(),
            Work::Queue { capacity } => format!(
                "messages of 16 bytes from one process to another, room for {capacity}; millions a second"
            ),
        };
        let mut text = format!("{what}\n{processors} processors, Linux {kernel}; rounds: {rounds}");
        let interrupted = if self.contest.interrupted { ", then interrupted" } else { "" };
        let _ = writeln!(text, "{interrupted}, everybody's turn in each");
        let waits = entries.iter().any(|entry| !entry.waits.is_empty());
        let heads = ["who", "median", "least", "most", "how it waits"];
        let mut table = ruled(width, if waits { &heads } else { &heads[..4] });
        for entry in entries {
            let Some(spread) = Spread::of(entry.samples.clone()) else { continue };
            let mut cells = vec![entry.name.clone()];
            cells.extend([spread.median, spread.min, spread.max].map(|value| self.shown(value)));
            cells.extend(waits.then(|| entry.waits.clone()));
            table.add_row(cells);
        }
        lines(&table, &mut text);
        for name in left_out {
            let _ = writeln!(text, "{name} is left out: there is no python3 here");
        }
        if !self.contest.optimised {
            text.push_str(
                "this program was built without optimisation: ours is much slower than with --release\n",
            );
        }
        for Figure { ours, peer, ratio } in &self.figures {
            let word = |name: &str| name.replace(", ", "-").replace(' ', "-");
            let _ = writeln!(text, "figure {} {}/{} {ratio:.2}", self.name(), word(ours), word(peer));
        }
        text.push_str("above 1, ours is better; figures are of this machine, now: compare within one run\n");
        text
    }

    fn name(&self) -> &'static str {
        match self.contest.work {
            Work::Start => "start+join",
            Work::Queue { .. } => "messages",
        }
    }

    fn shown(&self, value: f64) -> String {
        match self.contest.work {
            Work::Start => format!("{value:.0}"),
            Work::Queue { .. } => format!("{:.3}", value / 1e6),
        }
    }
}

fn median(entry: &Entry) -> Option<f64> {
    Some(Spread::of(entry.samples.clone())?.median)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, beside: Option<&str>, samples: &[f64]) -> Entry {
        let beside = beside.map(str::to_owned);
        Entry { name: name.to_owned(), beside, waits: String::new(), samples: samples.to_vec() }
    }

    fn bench(work: Work) -> Bench {
        Bench::new(Contest {
            work,
            rounds: 3,
            interrupted: false,
            optimised: true,
            processors: 2,
            kernel: "6.1".to_owned(),
            entries: vec![
                entry("ours", None, &[1.0, 2.0, 90.0]),
                entry("a peer", Some("ours"), &[8.0, 1.0, 9.0]),
            ],
            left_out: vec!["Python's fork".to_owned()],
        })
    }

    #[test]
    fn a_ratio_is_above_one_when_ours_is_better() {
        assert_eq!(bench(Work::Start).figures[0].ratio, 4.0, "a shorter time");
        assert_eq!(bench(Work::Queue { capacity: 5 }).figures[0].ratio, 0.25, "a higher rate");
    }

    #[test]
    fn a_program_finds_its_figures_at_the_line_s_beginning() {
        let text = bench(Work::Start).text(80);
        assert!(text.contains("\nfigure start+join ours/a-peer 4.00\n"), "{text}");
        assert!(text.contains("Python's fork is left out"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    }
}
