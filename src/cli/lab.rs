//! What `explore`, `replay` and `trials` share: the options of a sale, a lab, and a verified witness.

use std::fmt::Display;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::fault::{BROKEN, Cause, Fault};
use super::output;
use crate::explore::engine::{ExecuteError, Trace, execute};
use crate::explore::gate::GateError;
use crate::explore::schedule::MAX_PROCESSES;
use crate::explore::strategy::replay::Replay;
use crate::report::witness::Witness;
use crate::scenario::experiment::{Experiment, MAX_STOCK};
use crate::scenario::pipeline::body::{MOST, Pipeline, Queue};
use crate::scenario::run::lab::Lab;
use crate::scenario::run::scratch::Scratch;
use crate::scenario::run::verdict::Verdict;
use crate::scenario::tickets::body::{Sale, Store};
use crate::scenario::tickets::cabinet::LockKind;
use crate::supervisor::Supervisor;
use crate::sys::resource::raise_open_file_limit;
use crate::sys::signal::Interrupt;

/// How something is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// The options of a ticket sale; what is not said is `None`.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct SaleArgs {
    /// How many buyers there are
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=MAX_PROCESSES as u64))]
    pub(crate) buyers: Option<u64>,
    /// How many tickets there are
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(i64).range(0..=MAX_STOCK))]
    pub(crate) stock: Option<i64>,
    /// What keeps the buyers apart: none, flock, posix, posix-closed, exclusive-file, unlinked-file,
    /// inherited, thread-mutex, check-outside, twice, mutex, compare-and-swap
    #[arg(long, value_name = "LOCK", value_parser = lock_kind, hide_possible_values = true)]
    pub(crate) lock: Option<LockKind>,
    /// Nobody looks at the stock outside the lock
    #[arg(long)]
    pub(crate) no_search: bool,
    /// How the number is written: emptied and written as the notes do, or written aside and renamed
    #[arg(long, value_name = "STORE")]
    pub(crate) store: Option<StoreArg>,
}

/// `--store`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StoreArg {
    /// Empty the file, then write: two steps
    Truncate,
    /// Write aside, then rename: one step
    Rename,
}

impl From<StoreArg> for Store {
    fn from(store: StoreArg) -> Self {
        match store {
            StoreArg::Truncate => Store::Truncate,
            StoreArg::Rename => Store::Rename,
        }
    }
}

fn lock_kind(name: &str) -> Result<LockKind, String> {
    name.parse().map_err(|_| {
        let names: Vec<_> = LockKind::ALL.iter().map(|kind| kind.name()).collect();
        format!("the locks are {}", names.join(", "))
    })
}

impl SaleArgs {
    /// The sale, where `base` says what is not said here.
    pub(crate) fn over(&self, base: &Sale) -> Sale {
        Sale {
            buyers: self.buyers.map_or(base.buyers, |buyers| buyers as usize),
            stock: self.stock.unwrap_or(base.stock),
            lock: self.lock.unwrap_or(base.lock),
            search: base.search && !self.no_search,
            store: self.store.map_or(base.store, Store::from),
            think: base.think,
        }
    }

    /// Whether nothing is said.
    pub(crate) fn is_silent(&self) -> bool {
        let Self { buyers, stock, lock, no_search, store } = self;
        buyers.is_none() && stock.is_none() && lock.is_none() && !no_search && store.is_none()
    }

    /// The sale of the notes, as far as nothing else is said: two buyers and the last ticket.
    pub(crate) fn sale(&self) -> Sale {
        self.over(&Sale {
            buyers: 2,
            stock: 1,
            lock: LockKind::Flock,
            search: true,
            store: Store::Truncate,
            think: Duration::ZERO,
        })
    }
}

/// The options of a pipeline; what is not said is `None`.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct PipelineArgs {
    /// pipeline: how many producers there are
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=MOST))]
    producers: Option<u64>,
    /// pipeline: how many consumers
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=MOST))]
    consumers: Option<u64>,
    /// pipeline: how many items each producer puts
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=MOST))]
    items: Option<u64>,
    /// pipeline: how many items the queue holds
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=MOST))]
    capacity: Option<u64>,
    /// pipeline: how many sentinels are put at the end; as many as consumers if it is not said
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(0..=MOST))]
    sentinels: Option<u64>,
    /// pipeline: the library's queue, or one that loses wake-ups
    #[arg(long, value_name = "QUEUE")]
    queue: Option<QueueArg>,
}

/// `--queue`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum QueueArg {
    /// The queue of this library
    Ours,
    /// One that looks whether it is empty, and lies down afterwards
    LostWakeup,
}

impl PipelineArgs {
    /// The pipeline, where `base` says what is not said here.
    pub(crate) fn over(&self, base: &Pipeline) -> Pipeline {
        Pipeline {
            producers: self.producers.unwrap_or(base.producers),
            consumers: self.consumers.unwrap_or(base.consumers),
            items: self.items.unwrap_or(base.items),
            capacity: self.capacity.unwrap_or(base.capacity),
            sentinels: self.sentinels.unwrap_or(base.sentinels),
            queue: match self.queue {
                None => base.queue,
                Some(QueueArg::Ours) => Queue::Ours,
                Some(QueueArg::LostWakeup) => Queue::LostWakeup,
            },
        }
    }

    /// A small pipeline, as far as nothing else is said.
    pub(crate) fn pipeline(&self) -> Pipeline {
        let consumers = self.consumers.unwrap_or(2);
        let (producers, items, capacity, queue) = (1, 2, 1, Queue::Ours);
        self.over(&Pipeline { producers, consumers, items, capacity, sentinels: consumers, queue })
    }

    /// Whether nothing is said.
    pub(crate) fn is_silent(&self) -> bool {
        let numbers = [self.producers, self.consumers, self.items, self.capacity, self.sentinels];
        numbers.iter().all(Option::is_none) && self.queue.is_none()
    }
}

/// The experiment that is meant; the options of another scenario are none of it.
pub(crate) fn experiment(
    scenario: Explorable,
    sale: &SaleArgs,
    pipeline: &PipelineArgs,
) -> Result<Experiment, Fault> {
    match scenario {
        Explorable::Tickets if pipeline.is_silent() => Ok(Experiment::Tickets(sale.sale())),
        Explorable::Pipeline if sale.is_silent() => Ok(Experiment::Pipeline(pipeline.pipeline())),
        Explorable::Tickets => Err(usage(
            "an option belongs to pipeline, and tickets is to be run",
            "tickets has --buyers, --stock, --lock, --no-search and --store",
        )),
        Explorable::Pipeline => Err(usage(
            "an option belongs to tickets, and pipeline is to be run",
            "pipeline has --producers, --consumers, --items, --capacity, --sentinels and --queue",
        )),
    }
}

/// What can be explored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Explorable {
    /// The ticket sale of the notes
    Tickets,
    /// Producers and consumers, and a sentinel for each
    Pipeline,
}

/// Runs `work` on a lab for `experiment`, with a supervisor and a directory that are gone afterwards.
pub(crate) fn with_lab<R>(
    experiment: &Experiment,
    work: impl FnOnce(&mut Bench<'_>) -> Result<R, Fault>,
) -> Result<R, Fault> {
    let failed = |error: &Cause| could_not("the processes cannot be set up", error);
    let interrupt = Interrupt::install().map_err(|error| failed(&error))?;
    let _ = raise_open_file_limit();
    let supervisor = Supervisor::with_interrupt(interrupt).map_err(|error| failed(&error))?;
    let scratch = Scratch::new().map_err(|error| failed(&error))?;
    let lab = experiment.open(&supervisor, scratch.path()).map_err(|error| failed(&error))?;
    work(&mut Bench { experiment, lab, interrupt })
}

/// A lab, and what it is for.
pub(crate) struct Bench<'s> {
    pub(crate) experiment: &'s Experiment,
    /// Whether the user has had enough.
    pub(crate) interrupt: Interrupt,
    pub(crate) lab: Box<dyn Lab<Error = GateError, Outcome = Verdict> + 's>,
}

impl Bench<'_> {
    /// Executes the schedule of `replay` on real processes.
    pub(crate) fn replay(&mut self, mut replay: Replay, kills: usize) -> Result<Witness, Fault> {
        match execute(&mut *self.lab, &mut replay, kills) {
            Ok(Some(trace)) => {
                replay.check(&trace.events).map_err(|divergence| diverged(&divergence))?;
                self.describe(&trace)
            }
            Ok(None) => Err(diverged(&"the schedule ends where somebody could go on")),
            Err(ExecuteError::Diverged(divergence)) => Err(diverged(&divergence)),
            Err(error) => Err(failed(&error)),
        }
    }

    /// Describes the execution that has just ended.
    pub(crate) fn describe(&mut self, trace: &Trace) -> Result<Witness, Fault> {
        let verdict = self.lab.judge(trace);
        let verdict = verdict.map_err(|error| could_not("the result cannot be read", &error))?;
        let broken = (verdict != Verdict::Ok).then(|| self.lab.broken_at(trace)).flatten();
        Ok(Witness::new(self.experiment, trace, verdict, &self.lab.pids(), broken))
    }
}

/// The arguments make no sense, and what would.
pub(crate) fn usage(what: impl Display, hint: impl Into<String>) -> Fault {
    Fault::bad_arguments(what).hint(hint)
}

/// Something stood in the way of what is named. After a Ctrl-C whatever goes wrong comes of it.
pub(crate) fn could_not(doing: &str, error: &Cause) -> Fault {
    let signal = Interrupt::installed().and_then(Interrupt::received);
    signal.map_or_else(|| Fault::could_not_run(error).context(doing), Fault::interrupted)
}

/// What a command has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// All was right.
    Right,
    /// Something is wrong.
    Wrong,
    /// This signal ended the command before it could know; what it says is what it knew by then.
    Unknown(i32),
}

impl Finding {
    /// Of a command that was not interrupted.
    pub(crate) fn of(right: bool) -> Self {
        if right { Self::Right } else { Self::Wrong }
    }
}

/// Prints what a command has to say; 3 if it found that something is wrong.
pub(crate) fn print(result: Result<(String, Finding), Fault>) -> ExitCode {
    let said = result.and_then(|(text, finding)| output::write(&text).map(|()| finding));
    match said {
        Ok(Finding::Right) => ExitCode::SUCCESS,
        Ok(Finding::Wrong) => ExitCode::from(BROKEN),
        Ok(Finding::Unknown(signal)) => Fault::interrupted(signal).report(),
        Err(fault) => fault.report(),
    }
}

/// The processes failed under control.
pub(crate) fn failed(error: &ExecuteError<GateError>) -> Fault {
    could_not("the schedule could not be carried out", error)
}

#[derive(Debug, thiserror::Error)]
#[error("the replay went another way: {0}")]
struct Diverged(String);

/// The processes did other things than the schedule says.
pub(crate) fn diverged(difference: &dyn Display) -> Fault {
    Fault::could_not_run(&Diverged(difference.to_string()))
        .hint("explore again: the program or the kernel is another than when the token was made")
}

/// How wide the table may be.
pub(crate) fn width() -> u16 {
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    terminal_width().or(columns).unwrap_or(100).clamp(40, 200)
}

/// How wide the terminal is, if standard output is one.
pub(crate) fn terminal_width() -> Option<u16> {
    console::Term::stdout().size_checked().map(|(_, columns)| columns)
}
