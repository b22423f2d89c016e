//! What can be explored: a scenario with its parameters, as a value, as a short code, and as a lab.

use std::path::Path;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::pipeline::body::{MOST, Pipeline, PipelineLab, Queue};
use crate::explore::gate::GateError;
use crate::explore::schedule::MAX_PROCESSES;
use crate::scenario::run::lab::Lab;
use crate::scenario::run::verdict::Verdict;
use crate::scenario::tickets::body::{Sale, Store};
use crate::scenario::tickets::cabinet::LockKind;
use crate::scenario::tickets::judge::SaleLab;
use crate::supervisor::Supervisor;

/// The most tickets that a sale can begin with.
pub const MAX_STOCK: i64 = 1_000_000;

/// A scenario with its parameters. The same value gives the same schedules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "scenario", rename_all = "kebab-case")]
pub enum Experiment {
    /// The ticket sale.
    Tickets(Sale),
    /// Producers and consumers.
    Pipeline(Pipeline),
}

impl Experiment {
    /// Sets it up in the directory `dir`, which nobody else uses.
    ///
    /// # Errors
    /// When files or memory cannot be made.
    pub fn open<'s>(
        &self,
        supervisor: &'s Supervisor,
        dir: &Path,
    ) -> Result<Box<dyn Lab<Error = GateError, Outcome = Verdict> + 's>, GateError> {
        match self {
            Self::Tickets(sale) => Ok(Box::new(SaleLab::new(supervisor, sale, dir)?)),
            Self::Pipeline(pipeline) => Ok(Box::new(PipelineLab::new(supervisor, pipeline, dir)?)),
        }
    }

    /// How the scenario is called on the command line.
    pub fn scenario(&self) -> &'static str {
        match self {
            Self::Tickets(_) => "tickets",
            Self::Pipeline(_) => "pipeline",
        }
    }

    /// How many processes it has.
    pub fn processes(&self) -> usize {
        match self {
            Self::Tickets(sale) => sale.buyers,
            Self::Pipeline(pipeline) => pipeline.processes(),
        }
    }

    /// What `process` is.
    pub fn role(&self, process: usize) -> &'static str {
        match self {
            Self::Tickets(_) => "buyer",
            Self::Pipeline(pipeline) => pipeline.role(process),
        }
    }

    /// The names of the steps that can occur.
    pub fn steps(&self) -> &'static [&'static str] {
        match self {
            Self::Tickets(_) => &["search", "lock", "read", "truncate", "write", "unlock"],
            Self::Pipeline(_) => &["put", "take", "join", "wake", "look", "sleep", "get-up"],
        }
    }

    /// The parameters in a few characters, for a token.
    pub fn code(&self) -> String {
        match self {
            Self::Tickets(sale) => {
                let search = if sale.search { "" } else { "q" };
                let store = if sale.store == Store::Rename { "r" } else { "" };
                let dot = if search.len() + store.len() > 0 { "." } else { "" };
                format!("t{}k{}.{}{dot}{search}{store}", sale.buyers, sale.stock, sale.lock.code())
            }
            Self::Pipeline(pipeline) => {
                let Pipeline { producers, consumers, items, capacity, sentinels, queue } = pipeline;
                let queue = if *queue == Queue::LostWakeup { ".lw" } else { "" };
                format!("p{producers}.{consumers}.{items}.{capacity}.{sentinels}{queue}")
            }
        }
    }

    /// The experiment that has this code.
    pub fn from_code(code: &str) -> Option<Self> {
        // One code for one experiment: nothing is left over, and nothing is written in two ways.
        let found = Self::sale(code).map(Self::Tickets).or_else(|| Self::pipeline(code).map(Self::Pipeline));
        found.filter(|experiment| experiment.code() == code)
    }

    fn pipeline(code: &str) -> Option<Pipeline> {
        let mut parts = code.strip_prefix('p')?.split('.');
        let mut next = |least| parts.next()?.parse().ok().filter(|n| (least..=MOST).contains(n));
        Some(Pipeline {
            producers: next(1)?,
            consumers: next(1)?,
            items: next(1)?,
            capacity: next(1)?,
            sentinels: next(0)?,
            queue: if code.ends_with(".lw") { Queue::LostWakeup } else { Queue::Ours },
        })
    }

    fn sale(code: &str) -> Option<Sale> {
        let mut parts = code.strip_prefix('t')?.split('.');
        let (buyers, stock) = parts.next()?.split_once('k')?;
        let lock = parts.next()?;
        let lock = LockKind::ALL.into_iter().find(|kind| kind.code() == lock)?;
        let flags = parts.next().unwrap_or("");
        Some(Sale {
            buyers: buyers.parse().ok().filter(|buyers| (1..=MAX_PROCESSES).contains(buyers))?,
            stock: stock.parse().ok().filter(|stock| (0..=MAX_STOCK).contains(stock))?,
            lock,
            search: !flags.contains('q'),
            store: if flags.contains('r') { Store::Rename } else { Store::Truncate },
            think: Duration::ZERO,
        })
    }

    /// The parameters as one types them.
    pub fn options(&self) -> String {
        match self {
            Self::Tickets(sale) => {
                let search = if sale.search { "" } else { " --no-search" };
                let store = if sale.store == Store::Rename { " --store rename" } else { "" };
                format!("--buyers {} --stock {} --lock {}{search}{store}", sale.buyers, sale.stock, sale.lock)
            }
            Self::Pipeline(pipeline) => {
                let Pipeline { producers, consumers, items, capacity, sentinels, queue } = pipeline;
                let queue = if *queue == Queue::LostWakeup { " --queue lost-wakeup" } else { "" };
                format!(
                    "--producers {producers} --consumers {consumers} --items {items} --capacity {capacity} \
                     --sentinels {sentinels}{queue}"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_experiment_has_a_code_of_its_own() {
        let mut codes = std::collections::BTreeSet::new();
        for lock in LockKind::ALL {
            for (search, store) in [(true, Store::Truncate), (false, Store::Truncate), (false, Store::Rename)]
            {
                for (buyers, stock) in [(1, 0), (2, 1), (26, 1_000_000)] {
                    let sale = Sale { buyers, stock, lock, search, store, think: Duration::ZERO };
                    let experiment = Experiment::Tickets(sale);
                    assert_eq!(Experiment::from_code(&experiment.code()).as_ref(), Some(&experiment));
                    assert!(codes.insert(experiment.code()));
                }
            }
        }
    }

    #[test]
    fn nonsense_is_no_code() {
        for code in
            ["", "t", "t2", "t2k1", "t2k1.zz", "t02k1.no", "t27k1.no", "t2k1.no.x", "t2k1.no.", "x2k1.no"]
        {
            assert_eq!(Experiment::from_code(code), None, "{code}");
        }
    }
}
