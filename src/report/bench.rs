//! The same work done by this library and its peers: figures, and the ratio of ours to each peer's.

use super::trials::{Spread, lines, ruled};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// The work that is measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "work", rename_all = "kebab-case")]
pub enum Work {
    /// Start a process that does nothing, and join it.
    Start,
    /// Send messages of 16 bytes from one process to another.
    Queue {
        /// Items that the queue holds.
        capacity: usize,
    },
}

/// The result of a contest.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Contest {
    /// The work.
    #[serde(flatten)]
    pub work: Work,
    /// Turns that each contestant had.
    pub rounds: usize,
    /// Whether it was interrupted (Ctrl-C) before the last round.
    pub interrupted: bool,
    /// Whether this program was built with optimisation: without it, ours is much slower.
    pub optimised: bool,
    /// The machine's processors.
    pub processors: usize,
    /// The kernel release.
    pub kernel: String,
    /// The contestants.
    pub entries: Vec<Entry>,
    /// Contestants that need what this machine lacks.
    pub left_out: Vec<String>,
}

/// A contestant and its figures.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// For a peer: which of this library's entries it is compared with.
    pub beside: Option<String>,
    /// How it waits for the other side, where it matters.
    pub waits: String,
    /// One figure per round: microseconds per start and join, or messages per second.
    pub samples: Vec<f64>,
}

impl Contest {
    /// A contest before its first round.
    pub(crate) fn new(work: Work, entries: Vec<Entry>) -> Self {
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Contest {
            work,
            rounds: 0,
            interrupted: false,
            optimised: !cfg!(debug_assertions),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: kernel.trim().to_owned(),
            entries,
            left_out: Vec::new(),
        }
    }

    /// The contest after this many complete rounds, without the entries that had no turn.
    pub(crate) fn finished(mut self, rounds: usize) -> Self {
        self.rounds = rounds;
        self.entries.iter_mut().for_each(|entry| entry.samples.truncate(rounds));
        self.entries.retain(|entry| !entry.samples.is_empty());
        self
    }
}

/// A contest and its ratios.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Bench {
    /// The work, the contestants and their figures.
    #[serde(flatten)]
    pub contest: Contest,
    /// Each peer compared with this library's entry that does the same.
    pub figures: Vec<Figure>,
}

/// One of this library's entries compared with one peer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Figure {
    /// This library's entry.
    pub ours: String,
    /// The peer.
    pub peer: String,
    /// How many times as fast ours is, by the medians: above 1, ours is better.
    pub ratio: f64,
}

impl Bench {
    /// Computes the ratios of a contest.
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

    /// A table at most `width` columns wide, then one machine-readable line per ratio.
    pub fn text(&self, width: u16) -> String {
        let Contest { work, rounds, processors, kernel, entries, left_out, .. } = &self.contest;
        let what = match work {
            Work::Start => "a process that does nothing, started and joined; microseconds".to_owned(),
            Work::Queue { capacity } => format!(
                "messages of 16 bytes from one process to another, capacity {capacity}; millions per second"
            ),
        };
        let mut text = format!("{what}\n{processors} processors, Linux {kernel}; rounds: {rounds}");
        let interrupted = if self.contest.interrupted { ", then interrupted" } else { "" };
        let _ = writeln!(text, "{interrupted}, one turn each per round");
        let waits = entries.iter().any(|entry| !entry.waits.is_empty());
        let heads = ["contestant", "median", "min", "max", "how it waits"];
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
            let _ = writeln!(text, "{name} is left out: python3 is not installed");
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
        text.push_str("a ratio above 1 means that ours is better; compare figures within one run only\n");
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
