//! The ticket sale in a free run: real buyers, real time, and who saw what.

use std::path::Path;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, RngExt, SeedableRng};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::account::Account;
use super::body::{self, Visit};
use super::judge::{self, Outcome};
use super::locks::LockKind;
use super::params::NAME;
use super::params::{FreeSale, Sale};
use super::share::{self, Share};
use crate::process::Scratch;
use crate::process::{Child, Process};
use crate::scenario::run::record::{Cell, Detail, Line, Record, Summary, Table};
use crate::scenario::run::stage::{Reason, RunError, Stage};
use crate::scenario::run::verdict::Verdict;
use crate::scenario::world::told::{Report, Told};
use crate::sys::clock::monotonic_ns;
use crate::sys::poll::Deadline;
use crate::wire::control;

/// How long nothing may be told before it is asked whether anything can still be.
const QUIET: Duration = Duration::from_millis(100);

/// What only the record of a sale holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TicketsRecord {
    /// A run for each lock.
    pub runs: Vec<TicketsRun>,
}

/// One sale with one lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TicketsRun {
    /// Which of the record's runs it is, counted from 0.
    pub run: usize,
    /// The lock's name.
    pub lock: String,
    /// What came of it.
    pub outcome: Outcome,
    /// What happened, in one sentence.
    pub why: String,
    /// From the moment that the buyers were let in until the last had left, in nanoseconds.
    pub wall_ns: u64,
    /// How long the buyers waited for the lock, all together, in nanoseconds.
    pub waited_ns: u64,
}

/// A buyer's process, from its parent's side.
type Buyer = Child<Result<Visit, Reason>>;

impl FreeSale {
    /// Sells, once for each lock.
    ///
    /// # Errors
    /// [`RunError`]; what was started is ended when the stage's supervisor ends.
    pub fn run(&self, mut stage: Stage<'_>) -> Result<Record, RunError> {
        let scratch = Scratch::new()?;
        let mut runs = Vec::new();
        for (run, lock) in self.locks.iter().enumerate() {
            stage.begin_run(run);
            stage.say("begin", format!("sells with lock {lock}: {}", lock.why));
            let dir = scratch.path().join(run.to_string());
            let sold = self.sell(&mut stage, run, *lock, &dir);
            if sold.is_err() {
                // Buyers end before the directory in which they are; one that cannot be ended is told of later.
                let _ = stage.supervisor.shutdown();
            }
            runs.push(sold?);
        }
        let verdict = runs.iter().map(|run| run.outcome.verdict).max().unwrap_or(Verdict::Ok);
        let summary = summary(&runs);
        Ok(Record {
            scenario: NAME.to_owned(),
            parameters: self.parameters(),
            processes: stage.processes,
            events: stage.events,
            detail: Detail::of(&TicketsRecord { runs }),
            verdict,
            summary,
        })
    }

    fn parameters(&self) -> serde_json::Value {
        let Sale { buyers, stock, search, store, think, .. } = &self.sale;
        serde_json::json!({
            "buyers": buyers,
            "stock": stock,
            "think_ms": think.as_secs_f64() * 1e3,
            "locks": self.locks,
            "search": search,
            "store": store,
            "seed": self.seed,
            "start_method": self.start_method,
        })
    }

    fn sell(
        &self,
        stage: &mut Stage<'_>,
        run: usize,
        lock: LockKind,
        dir: &Path,
    ) -> Result<TicketsRun, RunError> {
        let sale = Sale { lock, ..self.sale.clone() };
        std::fs::create_dir(dir).map_err(RunError::os("making the run's directory"))?;
        let shop = share::open(&sale, dir).map_err(RunError::os("opening the lock"))?;
        share::reset(&sale, &shop).map_err(RunError::os("writing the stock file"))?;

        let (reports, incoming) = control::channel::<Report>().map_err(RunError::os("socketpair"))?;
        let mut rng = StdRng::seed_from_u64(self.seed);
        let mut doors = Vec::new();
        let mut buyers: Vec<Buyer> = Vec::new();
        for index in 0..sale.buyers {
            let (door, entrance) = control::channel().map_err(RunError::os("socketpair"))?;
            let share = share::share(&shop).map_err(RunError::os("dup"))?;
            let order = Order { index, sale: sale.clone(), share, seed: rng.next_u64() };
            let buyer = Process::new(visit)
                .args((order, entrance, reports.clone()))
                .name(format!("user{index}"))
                .start_method(self.start_method)
                .die_with_parent(true);
            buyers.push(stage.supervisor.start(buyer)?);
            doors.push(door);
        }
        drop(reports);
        doors.shuffle(&mut rng);
        let begin = monotonic_ns();
        for door in doors {
            // A buyer that was killed meanwhile is found dead when it is joined.
            let _ = door.send(());
        }
        let mut account = Account::new(lock);
        let stuck = listen(stage, &incoming, &buyers, &mut account)?;
        let wall_ns = monotonic_ns() - begin;
        stage.join(&buyers.iter().map(Child::handle).collect::<Vec<_>>())?;
        let mut visits: Vec<Option<Visit>> = Vec::new();
        for buyer in &buyers {
            // One without a result was killed: that is for the verdict to say.
            let visit = buyer.result().ok().transpose();
            visits.push(visit.map_err(|reason| RunError::Child { name: buyer.name().to_owned(), reason })?);
        }
        let left = body::read(&shop, lock).map_err(RunError::os("reading the stock"))?.count();
        let outcome = outcome(&sale, &visits, left, !stuck.is_empty());
        let why = match outcome.verdict {
            Verdict::Crashed => killed(&buyers),
            _ => account.sentence(&outcome, &stuck),
        };
        stage.say("end", format!("{} of {} sold: {}", outcome.sold, outcome.initial, outcome.verdict));
        Ok(TicketsRun {
            run,
            lock: lock.name.to_owned(),
            outcome,
            why,
            wall_ns,
            waited_ns: account.waited_ns(),
        })
    }
}

/// Tells of everything that the buyers do, until all have left, or those that have not wait for ever: these are
/// killed, and named.
fn listen(
    stage: &mut Stage<'_>,
    incoming: &control::Receiver<Report>,
    buyers: &[Buyer],
    account: &mut Account,
) -> Result<Vec<String>, RunError> {
    let mut stuck: Vec<String> = Vec::new();
    let mut suspected = false;
    loop {
        match incoming.try_recv() {
            Ok(report) => {
                suspected = false;
                account.enter(&report);
                stage.tell(report.event);
            }
            Err(control::TryRecvError::Empty) if !stuck.is_empty() => {
                stage.await_readable(incoming, Deadline::NEVER)?;
            }
            Err(control::TryRecvError::Empty) => {
                if stage.await_readable(incoming, Deadline::after(QUIET))? {
                    continue;
                }
                let living: Vec<&Buyer> = buyers.iter().filter(|buyer| buyer.is_alive()).collect();
                let names: Vec<&str> = living.iter().map(|buyer| buyer.name()).collect();
                let is_stuck = account.is_stuck(&names);
                if is_stuck && std::mem::replace(&mut suspected, is_stuck) {
                    // Nothing was told between two looks: none of them is about to go on.
                    stuck = names.iter().map(|name| (*name).to_owned()).collect();
                    for name in &stuck {
                        let why = account.waits_for(name);
                        stage.say("deadlock", why);
                    }
                    for buyer in living {
                        buyer.kill().map_err(RunError::os("kill"))?;
                    }
                }
            }
            // A sender that is killed inside a long message looks like the end of all of them; there are no
            // long messages here.
            Err(_) => return Ok(stuck),
        }
    }
}

/// What came of a sale, from what the buyers say and what the file says.
fn outcome(sale: &Sale, visits: &[Option<Visit>], left: Option<i64>, stuck: bool) -> Outcome {
    let count = |wanted: Visit| visits.iter().flatten().filter(|visit| **visit == wanted).count();
    let sold = i64::try_from(count(Visit::Bought)).unwrap_or(i64::MAX);
    let torn_reads = count(Visit::Torn);
    let verdict = if stuck {
        Verdict::Deadlock
    } else if visits.contains(&None) {
        Verdict::Crashed
    } else {
        judge::of_sale(sale.stock, sold, left, torn_reads > 0)
    };
    Outcome { initial: sale.stock, sold, left, torn_reads, verdict }
}

/// Which buyers ended before their visit did, and how.
fn killed(buyers: &[Buyer]) -> String {
    let ends = buyers.iter().filter(|buyer| buyer.result().is_err()).map(|buyer| {
        let how = buyer.exit().map_or_else(|| "in an unknown way".to_owned(), |exit| format!("by {exit}"));
        format!("{} (PID {}) ended {how} before its visit did", buyer.name(), buyer.pid())
    });
    ends.collect::<Vec<_>>().join("; ") + "."
}

fn summary(runs: &[TicketsRun]) -> Summary {
    let head = [
        "lock",
        "in stock",
        "sold",
        "left in the file",
        "torn reads",
        "verdict",
        "ms",
        "waited for the lock",
    ];
    let row = |run: &TicketsRun| {
        let outcome = &run.outcome;
        let left = outcome.left.map_or_else(|| "no number".to_owned(), |left| left.to_string());
        vec![
            Cell::Text(run.lock.clone()),
            Cell::Number(outcome.initial.to_string()),
            Cell::Number(outcome.sold.to_string()),
            Cell::Number(left),
            Cell::Number(outcome.torn_reads.to_string()),
            Cell::Verdict(outcome.verdict),
            Cell::Number(format!("{:.0}", run.wall_ns as f64 / 1e6)),
            Cell::Number(format!("{:.0} ms", run.waited_ns as f64 / 1e6)),
        ]
    };
    Summary {
        table: Some(Table { head: head.to_vec(), rows: runs.iter().map(row).collect() }),
        lines: runs.iter().map(|run| Line::Text(format!("{}: {}", run.lock, run.why))).collect(),
    }
}

/// What a buyer's process is given.
#[derive(Debug, Serialize, Deserialize)]
struct Order {
    index: usize,
    sale: Sale,
    share: Share,
    seed: u64,
}

/// The life of a buyer: it waits to be let in, and buys.
fn visit(
    order: Order,
    entrance: control::Receiver<()>,
    reports: control::Sender<Report>,
) -> Result<Visit, Reason> {
    let Order { index, mut sale, share, seed } = order;
    let shop = share::unpack(&sale, share, index).map_err(|error| Reason::of(&error))?;
    let mut world = Told::new(reports);
    // The sale was called off.
    if entrance.recv().is_err() {
        std::process::exit(1);
    }
    // Each buyer has its own pace, half as fast to half as slow again as asked for.
    sale.think = sale.think.mul_f64(StdRng::seed_from_u64(seed).random_range(0.5..=1.5));
    body::buy(&mut world, &sale, &shop).map_err(|error| Reason::of(&error))
}
