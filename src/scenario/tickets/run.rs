//! The ticket sale as a free run.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, RngExt, SeedableRng};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::body::{self, Visit};
use super::judge::{self, Outcome};
use super::locks::LockKind;
use super::params::NAME;
use super::params::{FreeSale, Sale};
use super::share::{self, Share};
use super::tracker::SaleTracker;
use crate::process::Scratch;
use crate::process::{Child, Exit, Process};
use crate::said::{List, Said};
use crate::scenario::run::record::{Cell, Detail, Line, Record, Summary, Table};
use crate::scenario::run::stage::{Reason, RunError, Stage};
use crate::scenario::run::verdict::Verdict;
use crate::scenario::world::told::{Report, Told};
use crate::sys::clock::monotonic_ns;
use crate::sys::pid::Pid;
use crate::sys::poll::Deadline;
use crate::wire::control;

/// How long there may be no report before checking whether the buyers are stuck.
const STUCK_CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// The fields of a sale's record.
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
    /// Its outcome.
    pub outcome: Outcome,
    /// What happened.
    pub why: Said,
    /// From the release of the buyers to the end of the last one, in nanoseconds.
    pub wall_ns: u64,
    /// The total time that the buyers waited for the lock, in nanoseconds.
    pub waited_ns: u64,
}

/// A buyer's process, from its parent's side.
type Buyer = Child<Result<Visit, Reason>>;

impl FreeSale {
    /// Runs one sale per lock.
    ///
    /// # Errors
    /// [`RunError`]; the stage's supervisor ends the processes that are left.
    pub fn run(&self, mut stage: Stage<'_>) -> Result<Record, RunError> {
        let scratch = Scratch::new()?;
        let mut runs = Vec::new();
        for (run, lock) in self.locks.iter().enumerate() {
            stage.begin_run(run);
            stage.say("begin", format!("sale with lock {lock}: {}", lock.why));
            let dir = scratch.path().join(run.to_string());
            let sold = self.sell(&mut stage, run, *lock, &dir);
            if sold.is_err() {
                // The buyers must end before their directory is removed; a failure is reported later.
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
        std::fs::create_dir(dir).map_err(RunError::os("creating the run's directory"))?;
        let shop = share::open(&sale, dir).map_err(RunError::os("opening the lock"))?;
        share::reset(&sale, &shop).map_err(RunError::os("writing the stock file"))?;

        let (reports, incoming) = control::channel::<Report>().map_err(RunError::os("socketpair"))?;
        let mut rng = StdRng::seed_from_u64(self.seed);
        let mut releases = Vec::new();
        let mut buyers: Vec<Buyer> = Vec::new();
        for index in 0..sale.buyers {
            let (release, released) = control::channel().map_err(RunError::os("socketpair"))?;
            let share = share::share(&shop).map_err(RunError::os("dup"))?;
            let args = BuyerArgs { index, sale: sale.clone(), share, seed: rng.next_u64() };
            let buyer = Process::new(visit)
                .args((args, released, reports.clone()))
                .name(format!("user{index}"))
                .start_method(self.start_method)
                .die_with_parent(true);
            buyers.push(stage.supervisor.start(buyer)?);
            releases.push(release);
        }
        drop(reports);
        releases.shuffle(&mut rng);
        let begin = monotonic_ns();
        for release in releases {
            // Fails if the buyer was killed; the join reports that.
            let _ = release.send(());
        }
        let mut tracker = SaleTracker::new(lock);
        let stuck = listen(stage, &incoming, &buyers, &mut tracker)?;
        let wall_ns = monotonic_ns() - begin;
        stage.join(&buyers.iter().map(Child::handle).collect::<Vec<_>>())?;
        let mut visits: Vec<Option<Visit>> = Vec::new();
        for buyer in &buyers {
            // A buyer without a result was killed; the verdict accounts for that.
            let visit = buyer.result().ok().transpose();
            visits.push(visit.map_err(|reason| RunError::Child { name: buyer.name().to_owned(), reason })?);
        }
        let left = body::read(&shop, lock).map_err(RunError::os("reading the stock"))?.count();
        let outcome = outcome(&sale, &visits, left, !stuck.is_empty());
        let why = match outcome.verdict {
            Verdict::Crashed => killed(&buyers),
            _ => tracker.sentence(&outcome, &stuck),
        };
        stage.say("end", format!("{} of {} sold: {}", outcome.sold, outcome.initial, outcome.verdict));
        Ok(TicketsRun {
            run,
            lock: lock.name.to_owned(),
            outcome,
            why,
            wall_ns,
            waited_ns: tracker.waited_ns(),
        })
    }
}

/// Reports everything that the buyers do until all have ended. Buyers that wait forever are killed; their names are
/// returned.
fn listen(
    stage: &mut Stage<'_>,
    incoming: &control::Receiver<Report>,
    buyers: &[Buyer],
    tracker: &mut SaleTracker,
) -> Result<Vec<String>, RunError> {
    let mut stuck: Vec<String> = Vec::new();
    let mut suspected = false;
    loop {
        match incoming.try_recv() {
            Ok(report) => {
                suspected = false;
                tracker.record(&report);
                stage.tell(report.event);
            }
            Err(control::TryRecvError::Empty) if !stuck.is_empty() => {
                stage.await_readable(incoming, Deadline::NEVER)?;
            }
            Err(control::TryRecvError::Empty) => {
                if stage.await_readable(incoming, Deadline::after(STUCK_CHECK_INTERVAL))? {
                    continue;
                }
                let living: Vec<&Buyer> = buyers.iter().filter(|buyer| buyer.is_alive()).collect();
                let names: Vec<&str> = living.iter().map(|buyer| buyer.name()).collect();
                let is_stuck = tracker.is_stuck(&names);
                if is_stuck && std::mem::replace(&mut suspected, is_stuck) {
                    // No report between two checks: none of them is about to continue.
                    stuck = names.iter().map(|name| (*name).to_owned()).collect();
                    for name in &stuck {
                        let why = tracker.waits_for(name);
                        stage.say("deadlock", why);
                    }
                    for buyer in living {
                        buyer.kill().map_err(RunError::os("kill"))?;
                    }
                }
            }
            // A sender killed in the middle of a long message would look like the end of all senders; there are
            // no long messages here.
            Err(_) => return Ok(stuck),
        }
    }
}

/// The outcome of a sale, from the buyers' results and the content of the file.
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

/// Which buyers ended before they had finished, and how.
fn killed(buyers: &[Buyer]) -> Said {
    let killed = buyers.iter().filter(|buyer| buyer.result().is_err());
    let ends =
        killed.map(|buyer| Ended { name: buyer.name().to_owned(), pid: buyer.pid(), exit: buyer.exit() });
    Say::Killed { buyers: List(ends.collect()) }.into()
}

sentences! {
    /// How a sale ended.
    enum Say {
        Killed { buyers: List<Ended> } => "{buyers}.", "{buyers:#}。";
    }
}

/// A buyer that ended before it had finished.
#[derive(Debug, Clone, PartialEq)]
struct Ended {
    name: String,
    pid: Pid,
    exit: Option<Exit>,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, pid, exit } = self;
        match (exit, f.alternate()) {
            (Some(exit), false) => write!(f, "{name} (PID {pid}) was ended by {exit} before it had finished"),
            (Some(exit), true) => write!(f, "{name}（PID {pid}）没有做完就结束了（{exit}）"),
            (None, false) => {
                write!(f, "{name} (PID {pid}) was ended in an unknown way before it had finished")
            }
            (None, true) => write!(f, "{name}（PID {pid}）没有做完就结束了，原因不明"),
        }
    }
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
        lines: runs.iter().map(|run| Line::Text(run.why.clone().titled(&run.lock))).collect(),
    }
}

/// The arguments of a buyer's process.
#[derive(Debug, Serialize, Deserialize)]
struct BuyerArgs {
    index: usize,
    sale: Sale,
    share: Share,
    seed: u64,
}

/// The body of a buyer's process: waits for the start, then buys.
fn visit(
    args: BuyerArgs,
    released: control::Receiver<()>,
    reports: control::Sender<Report>,
) -> Result<Visit, Reason> {
    let BuyerArgs { index, mut sale, share, seed } = args;
    let shop = share::unpack(&sale, share, index).map_err(|error| Reason::of(&error))?;
    let mut world = Told::new(reports);
    // The sale was cancelled.
    if released.recv().is_err() {
        std::process::exit(1);
    }
    // Each buyer has its own pace: 0.5 to 1.5 times the thinking time.
    sale.think = sale.think.mul_f64(StdRng::seed_from_u64(seed).random_range(0.5..=1.5));
    body::buy(&mut world, &sale, &shop).map_err(|error| Reason::of(&error))
}
