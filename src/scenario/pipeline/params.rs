//! The parameters of a pipeline: as a value, as options, and as a code.

use std::time::Duration;

use clap::{ArgMatches, Args, Command, FromArgMatches, ValueEnum};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::lost_wakeup;
use crate::process::StartMethod;
use crate::scenario::contract::{Method, ParamsError, Verb};

/// The maximum of every count in an exploration or a trial.
const MAX_COUNT: u64 = 8;

/// The queue that the items pass through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum QueueKind {
    /// The queue of this library
    #[default]
    Ours,
    /// A queue that checks whether it is empty and then goes to sleep
    LostWakeup,
}

/// The parameters of a pipeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Params {
    /// The number of producers.
    pub producers: u64,
    /// The number of consumers.
    pub consumers: u64,
    /// The number of items that each producer puts.
    pub items: u64,
    /// The capacity of the queue.
    pub capacity: u64,
    /// The number of sentinels that the main process puts after all producers have finished.
    pub sentinels: u64,
    /// The kind of queue.
    pub queue: QueueKind,
}

/// The role of a process of a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The producer with this index.
    Producer(usize),
    /// The consumer with this index.
    Consumer(usize),
    /// The process that joins the producers and puts the sentinels.
    Main,
}

impl Role {
    /// The role in one word.
    pub fn name(self) -> &'static str {
        match self {
            Role::Producer(_) => "producer",
            Role::Consumer(_) => "consumer",
            Role::Main => "main",
        }
    }
}

/// The parameters that only a free run has.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// The name of the food.
    pub food: String,
    /// The time to make an item.
    pub produce: Duration,
    /// The time to eat an item.
    pub consume: Duration,
    /// Whether consumers take leases.
    pub leases: bool,
    /// The consumer to kill, and at which item that it takes, counted from 1.
    pub kill: Option<(usize, u64)>,
}

impl Default for Plan {
    fn default() -> Self {
        let (produce, consume) = (Duration::ZERO, Duration::ZERO);
        Plan { food: "item ".to_owned(), produce, consume, leases: false, kill: None }
    }
}

impl Params {
    /// The number of processes, including the main process.
    pub fn processes(&self) -> usize {
        (self.producers + self.consumers + 1) as usize
    }

    /// The role of `process`.
    pub fn role(&self, process: usize) -> Role {
        let (producers, consumers) = (self.producers as usize, self.consumers as usize);
        match process.checked_sub(producers) {
            None => Role::Producer(process),
            Some(index) if index < consumers => Role::Consumer(index),
            Some(_) => Role::Main,
        }
    }
}

impl crate::scenario::contract::Params for Params {
    /// For example `p1.2.2.1.2`.
    fn code(&self) -> String {
        let Params { producers, consumers, items, capacity, sentinels, queue } = self;
        let queue = if *queue == QueueKind::LostWakeup { ".lw" } else { "" };
        format!("p{producers}.{consumers}.{items}.{capacity}.{sentinels}{queue}")
    }

    fn from_code(code: &str) -> Option<Params> {
        let mut parts = code.strip_prefix('p')?.split('.');
        let mut next = |least| parts.next()?.parse().ok().filter(|n| (least..=MAX_COUNT).contains(n));
        Some(Params {
            producers: next(1)?,
            consumers: next(1)?,
            items: next(1)?,
            capacity: next(1)?,
            sentinels: next(0)?,
            queue: if code.ends_with(".lw") { QueueKind::LostWakeup } else { QueueKind::Ours },
        })
    }

    fn options(&self) -> String {
        let Params { producers, consumers, items, capacity, sentinels, queue } = self;
        let queue = if *queue == QueueKind::LostWakeup { " --queue lost-wakeup" } else { "" };
        format!(
            "--producers {producers} --consumers {consumers} --items {items} --capacity {capacity} \
             --sentinels {sentinels}{queue}"
        )
    }
}

/// The scenario's name on the command line.
pub const NAME: &str = "pipeline";

/// A free run.
#[derive(Debug, Clone)]
pub struct FreePipeline {
    /// The parameters that all runs have.
    pub params: Params,
    /// The parameters of a free run.
    pub plan: Plan,
    /// How the consumers learn that no more items will arrive.
    pub end: EndBy,
    /// How processes are started.
    pub start_method: StartMethod,
}

/// How the consumers learn that no more items will arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum EndBy {
    /// The queue reports that the last producer has ended
    Close,
    /// Each consumer gets a None, as in Python
    None,
    /// The parent waits until all items are done, then closes the queue
    Joinable,
}

/// The options of `trials` and `explore`.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Examples:\n  proclab explore pipeline --sentinels 1                 one None too few\n    proclab explore pipeline --consumers 1 --queue lost-wakeup\n  proclab trials pipeline -n 100 --queue lost-wakeup"
)]
struct GateArgs {
    /// How many producers there are; each is a process
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=MAX_COUNT))]
    producers: u64,
    /// How many consumers there are; each is a process
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=MAX_COUNT))]
    consumers: u64,
    /// How many items each producer puts
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=MAX_COUNT))]
    items: u64,
    /// How many items the queue holds
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=MAX_COUNT))]
    capacity: u64,
    /// How many sentinels (None) to put at the end [default: one per consumer]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(0..=MAX_COUNT))]
    sentinels: Option<u64>,
    /// Which queue to use
    #[arg(long, value_enum, value_name = "QUEUE", default_value_t = QueueKind::Ours)]
    queue: QueueKind,
}

/// The options of `run`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  proclab run pipeline --end none --sentinels 1        one None too few: who waits forever?\n  proclab run pipeline --kill consumer-1@5             what a kill loses\n  proclab run pipeline --kill consumer-1@5 --leases    with leases, nothing"
)]
struct RunArgs {
    /// How many producers there are; each is a process
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=200))]
    producers: u64,
    /// How many consumers there are; each is a process
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=200))]
    consumers: u64,
    /// How many items each producer makes
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    items: u64,
    /// How many items the queue holds
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    capacity: u64,
    /// The name of the items
    #[arg(long, default_value = "火锅")]
    food: String,
    /// How long it takes to make an item
    #[arg(long, value_name = "MS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(..=60_000))]
    produce: u64,
    /// How long it takes to consume an item
    #[arg(long, value_name = "MS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(..=60_000))]
    consume: u64,
    /// How the consumers learn that no more items will arrive [default: close; none with --queue lost-wakeup]
    #[arg(long, value_enum)]
    end: Option<EndBy>,
    /// With `--end none`: how many Nones to put [default: one per consumer]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(0..=1000))]
    sentinels: Option<u64>,
    /// Kill a consumer when it takes its Nth item, for example consumer-1@5
    #[arg(long, value_name = "CONSUMER@N", value_parser = kill_point)]
    kill: Option<(usize, u64)>,
    /// Let consumers take leases, so that a kill loses no item
    #[arg(long)]
    leases: bool,
    /// Which queue to use
    #[arg(long, value_enum, value_name = "QUEUE", default_value_t = QueueKind::Ours)]
    queue: QueueKind,
    /// How the processes are started
    #[arg(long, value_enum, default_value_t = Method::Spawn)]
    start_method: Method,
}

/// Parses `consumer-1@5` into the consumer's index and the item's ordinal.
fn kill_point(text: &str) -> Result<(usize, u64), String> {
    text.strip_prefix("consumer-")
        .and_then(|rest| rest.split_once('@'))
        .and_then(|(consumer, nth)| Some((consumer.parse().ok()?, nth.parse().ok().filter(|nth| *nth > 0)?)))
        .ok_or_else(|| "write it as consumer-1@5".to_owned())
}

/// The options of `verb`.
pub(super) fn arguments(verb: Verb) -> Command {
    let command = Command::new("pipeline");
    match verb {
        Verb::Run => RunArgs::augment_args(command),
        Verb::Trials | Verb::Explore => GateArgs::augment_args(command),
    }
}

/// The pipeline that the options of `trials` or `explore` describe.
pub(super) fn params(_: Verb, matches: &ArgMatches) -> Result<Params, ParamsError> {
    let GateArgs { producers, consumers, items, capacity, sentinels, queue } =
        GateArgs::from_arg_matches(matches)?;
    let sentinels = sentinels.unwrap_or(consumers);
    Ok(Params { producers, consumers, items, capacity, sentinels, queue })
}

/// The free run that the options of `run` describe.
pub(super) fn pipeline(matches: &ArgMatches) -> Result<FreePipeline, ParamsError> {
    let args = RunArgs::from_arg_matches(matches)?;
    let is_lossy = args.queue == QueueKind::LostWakeup;
    let end = args.end.unwrap_or(if is_lossy { EndBy::None } else { EndBy::Close });
    if is_lossy {
        let most = lost_wakeup::PLACES as u64;
        if end != EndBy::None || args.leases || args.kill.is_some() {
            let what = "the queue that loses wake-ups has no close, no join and no leases";
            return Err(ParamsError::usage(what, "leave out --end, --leases and --kill"));
        }
        if args.capacity > most || args.producers + args.consumers >= lost_wakeup::MAX_SLEEPERS as u64 {
            let what = format!(
                "the queue that loses wake-ups takes at most {most} items and fewer than {} processes",
                lost_wakeup::MAX_SLEEPERS
            );
            return Err(ParamsError::usage(what, "use smaller numbers"));
        }
    }
    if args.sentinels.is_some() && end != EndBy::None {
        return Err(ParamsError::usage("only --end none puts Nones", "add --end none"));
    }
    if let Some((consumer, _)) = args.kill
        && consumer as u64 >= args.consumers
    {
        let what = format!("there is no consumer-{consumer} to kill");
        return Err(ParamsError::usage(what, "the first consumer is consumer-0"));
    }
    let sentinels = if end == EndBy::None { args.sentinels.unwrap_or(args.consumers) } else { 0 };
    let RunArgs { producers, consumers, items, capacity, queue, .. } = args;
    Ok(FreePipeline {
        params: Params { producers, consumers, items, capacity, sentinels, queue },
        plan: Plan {
            food: args.food,
            produce: Duration::from_millis(args.produce),
            consume: Duration::from_millis(args.consume),
            leases: args.leases || end == EndBy::Joinable,
            kill: args.kill,
        },
        end,
        start_method: args.start_method.into(),
    })
}
