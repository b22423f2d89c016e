//! The ticket sale in a free run: real buyers, real time, and who saw what.

use crate::process::{Child, Process, StartMethod};
use crate::scenario::run::record::{Detail, Event, Record};
use crate::scenario::run::scratch::Scratch;
use crate::scenario::run::stage::{RunError, Stage, chain};
use crate::scenario::run::verdict::Verdict;
use crate::scenario::tickets::body::{self as sale, Reading, Sale, Visit};
use crate::scenario::tickets::cabinet::LockKind;
use crate::scenario::tickets::locks::Shared;
use crate::scenario::world::told::Told;
use crate::sys::clock::monotonic_ns;
use crate::wire::endpoint::pollable_channel;
use ipc_channel::ipc::{self, IpcReceiver, IpcSender};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, RngExt, SeedableRng};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// What is run: a sale for each lock, by as many buyers, from the same seed.
#[derive(Debug, Clone)]
pub struct Tickets {
    /// The sale; its lock is overridden by each of `locks`.
    pub sale: Sale,
    /// The locks, one run for each.
    pub locks: Vec<LockKind>,
    /// How buyers are started.
    pub start_method: StartMethod,
    /// In which order buyers are let in, and how long each of them thinks.
    pub seed: u64,
}

/// What a ticket sale alone has to tell.
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
    /// From the moment that the buyers were let in until the last had left, in nanoseconds.
    pub wall_ns: u64,
    /// How long the buyers waited for the lock, all together, in nanoseconds.
    pub waited_ns: u64,
}

/// Whether the sale kept its promise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Outcome {
    /// Tickets in stock before the sale.
    pub initial: i64,
    /// How many buyers believe to have bought one.
    pub sold: i64,
    /// The number in the stock file afterwards; null if it holds none.
    pub left: Option<i64>,
    /// How many buyers read a half-written file and gave up.
    pub torn_reads: usize,
    /// `ok` if as many were sold as are missing, and not more than there were.
    pub verdict: Verdict,
}

impl Tickets {
    /// Sells, once for each lock.
    ///
    /// # Errors
    /// [`RunError`]; what was started is ended when the stage's supervisor ends.
    pub fn run(&self, mut stage: Stage<'_>) -> Result<Record, RunError> {
        let scratch = Scratch::new()?;
        let mut runs = Vec::new();
        for (run, lock) in self.locks.iter().enumerate() {
            stage.begin_run(run);
            stage.say("begin", format!("sells with lock {lock}: {}", lock.why()));
            let dir = scratch.path().join(run.to_string());
            let sold = self.sell(&mut stage, run, *lock, &dir);
            if sold.is_err() {
                // Buyers end before the directory in which they are; whoever is left is told of later.
                let _ = stage.supervisor.shutdown();
            }
            runs.push(sold?);
        }
        let verdict = runs.iter().map(|run| run.outcome.verdict).max().unwrap_or(Verdict::Ok);
        Ok(Record {
            scenario: "tickets".to_owned(),
            parameters: self.parameters(),
            processes: stage.processes,
            events: stage.events,
            detail: Detail::Tickets(TicketsRecord { runs }),
            verdict,
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
        let shop = Shop { stock: dir.join("ticket_count"), lock: dir.join("lock") };
        std::fs::write(&shop.stock, sale::text(sale.stock))
            .map_err(RunError::os("writing the stock file"))?;

        let (events, incoming) = pollable_channel::<Event>().map_err(RunError::os("socketpair"))?;
        let mut rng = StdRng::seed_from_u64(self.seed);
        let mut doors = Vec::new();
        let mut buyers: Vec<Child<Result<Left, String>>> = Vec::new();
        for index in 0..sale.buyers {
            let (door, entrance) = ipc::channel().map_err(RunError::os("socketpair"))?;
            let visitor = Visitor { index, sale: sale.clone(), shop: shop.clone(), seed: rng.next_u64() };
            let buyer = Process::new(visit)
                .args((visitor, entrance, events.clone()))
                .name(format!("user{index}"))
                .start_method(self.start_method)
                .die_with_parent(true);
            buyers.push(stage.supervisor.start(buyer)?);
            doors.push(door);
        }
        drop(events);
        doors.shuffle(&mut rng);
        let begin = monotonic_ns();
        for door in doors {
            // A buyer that was killed meanwhile is found dead when it is joined.
            let _ = door.send(());
        }
        stage.listen(&incoming)?;
        let wall_ns = monotonic_ns() - begin;
        stage.join(&buyers.iter().map(Child::handle).collect::<Vec<_>>())?;
        let mut visits: Vec<Option<Left>> = Vec::new();
        for buyer in &buyers {
            // One without a result was killed: that is for the verdict to say.
            let visit = buyer.result().ok().transpose();
            visits.push(visit.map_err(|reason| RunError::Child { name: buyer.name().to_owned(), reason })?);
        }
        let outcome = judge(
            &sale,
            &visits,
            sale::read(&shop.shared(0), lock).map_err(RunError::os("reading the stock"))?,
        );
        stage.say("end", format!("{} of {} sold: {}", outcome.sold, outcome.initial, outcome.verdict));
        let waited_ns = visits.iter().flatten().map(|left| left.waited_ns).sum();
        Ok(TicketsRun { run, lock: lock.name().to_owned(), outcome, wall_ns, waited_ns })
    }
}

/// What came of a sale, from what the buyers say and what the file says.
fn judge(sale: &Sale, visits: &[Option<Left>], reading: Reading) -> Outcome {
    let count = |visit: Visit| visits.iter().flatten().filter(|left| left.visit == visit).count();
    let sold = i64::try_from(count(Visit::Bought)).unwrap_or(i64::MAX);
    let torn_reads = count(Visit::Torn);
    let left = match reading {
        Reading::Count(count, _) => Some(count),
        Reading::Torn(_) => None,
    };
    let verdict = if visits.iter().any(Option::is_none) {
        Verdict::Crashed
    } else {
        Verdict::of_sale(sale.stock, sold, left, torn_reads > 0)
    };
    Outcome { initial: sale.stock, sold, left, torn_reads, verdict }
}

/// Where the sale is.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Shop {
    stock: PathBuf,
    lock: PathBuf,
}

impl Shop {
    fn shared(&self, process: usize) -> Shared {
        Shared { lock: self.lock.clone(), stock: self.stock.clone(), opened: None, process }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Visitor {
    index: usize,
    sale: Sale,
    shop: Shop,
    seed: u64,
}

/// How a buyer left.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Left {
    visit: Visit,
    waited_ns: u64,
}

/// The life of a buyer: it waits to be let in, and buys.
fn visit(visitor: Visitor, entrance: IpcReceiver<()>, events: IpcSender<Event>) -> Result<Left, String> {
    let Visitor { index, mut sale, shop, seed } = visitor;
    let mut world = Told::new(events);
    // Nobody lets anybody in any more: the sale was called off.
    if entrance.recv().is_err() {
        std::process::exit(1);
    }
    // Each buyer has its own pace, half as fast to half as slow again as asked for.
    sale.think = sale.think.mul_f64(StdRng::seed_from_u64(seed).random_range(0.5..=1.5));
    let visit = sale::buy(&mut world, &sale, &shop.shared(index)).map_err(|error| chain(&error))?;
    world.tell(match visit {
        Visit::Bought => ("bought", "has a ticket"),
        Visit::SoldOut => ("none", "gets no ticket"),
        Visit::Torn => ("torn", "read a half-written file, and gives up"),
    });
    Ok(Left { visit, waited_ns: world.waited_ns() })
}
