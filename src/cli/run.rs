//! `proclab run`: one free run, told line by line, then summed up.

use super::fault::{BROKEN, Fault, chain};
use super::lab::{Format, StoreArg, terminal_width};
use super::output;
use super::stock_file::{self, StockFileError};
use super::watch::{self, WatchArgs};
use crate::observe::notes::Notes;
use crate::process::StartMethod;
use crate::report::run as report;
use crate::scenario::eval::Eval;
use crate::scenario::experiment::MAX_STOCK;
use crate::scenario::full;
use crate::scenario::life::{self, Lesson};
use crate::scenario::run::record::{Event, Record};
use crate::scenario::run::stage::{RunError, Stage};
use crate::scenario::run::verdict::Verdict;
use crate::scenario::tickets::body::Sale;
use crate::scenario::tickets::cabinet::LockKind;
use crate::scenario::tickets::run::Tickets;
use crate::supervisor::Supervisor;
use crate::sys::resource::raise_open_file_limit;
use crate::sys::signal::Interrupt;
use clap::builder::PossibleValue;
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// What ends by Ctrl-C gets so long to end by itself.
const GRACE: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
#[command(
    arg_required_else_help = true,
    after_help = "Exit codes: 0 done; 1 could not run; 2 bad arguments; 3 ran, and an invariant broke.\n\nExamples:\n  proclab run tickets                      the sale without a lock, then with one\n  proclab run tickets --buyers 4 --stock 1 --lock flock\n  proclab run life zombie                  a short lesson on real processes"
)]
pub(crate) struct RunArgs {
    #[command(subcommand)]
    scenario: Scenario,
}

#[derive(Debug, Subcommand)]
enum Scenario {
    /// The ticket sale: buyers race for the stock in a file, with and without a lock.
    Tickets(TicketsArgs),
    /// A lesson about the life of processes, on real ones, with what it proves.
    Life(LifeArgs),
    /// Producers and consumers around a bounded queue, with a proof that every item was eaten once.
    Pipeline(super::pipeline::PipelineArgs),
    /// A child evaluates an arithmetic expression, and the answer comes out of Queue(5).
    Eval(EvalArgs),
    /// Putting into a full queue blocks until something is taken out: shown with states and times.
    Full(FullArgs),
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  proclab run eval '1+2+3'\n  proclab run eval '-2*(3-4)^2' --format json"
)]
struct EvalArgs {
    /// The expression: numbers, + - * / ^ and brackets
    #[arg(allow_hyphen_values = true)]
    expression: String,
    /// How the child is started
    #[arg(long, value_enum, default_value_t = Method::Spawn)]
    start_method: Method,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  proclab run full\n  proclab run full --start-method fork --format json")]
struct FullArgs {
    /// How the child is started
    #[arg(long, value_enum, default_value_t = Method::Spawn)]
    start_method: Method,
    #[command(flatten)]
    common: Common,
}

/// What every run takes.
#[derive(Debug, Args)]
pub(super) struct Common {
    /// How to tell it: as text, line by line, or as one JSON object for each run (see `proclab schema run`)
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
    /// Watch the processes while they run, as `proclab watch` does any program's
    #[arg(long)]
    pub(super) watch: bool,
}

#[derive(Debug, Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "Examples:\n  proclab run tickets --buyers 4 --stock 1 --lock flock\n  proclab run tickets --no-search --store rename --seed 7\n  proclab run tickets --stock-file stock.json --format json"
)]
struct TicketsArgs {
    /// How many buyers there are, each a process of its own
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1000))]
    buyers: u64,
    /// How many tickets there are, instead of what the stock file says
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(i64).range(0..=MAX_STOCK))]
    stock: Option<i64>,
    /// A stock file, `{"count": 3}`; it is read and never changed
    #[arg(long, value_name = "PATH")]
    stock_file: Option<PathBuf>,
    /// How long a buyer thinks before it reads and again before it writes, on average
    #[arg(long, value_name = "MS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(..=60_000))]
    think: u64,
    /// What keeps the buyers apart; without this, first nothing and then the file lock
    #[arg(long, value_enum)]
    lock: Option<Lock>,
    /// Buy at once, without looking at the stock first
    #[arg(long)]
    no_search: bool,
    /// How a buyer writes: empty the file, then write (as the notes do), or write aside and rename
    #[arg(long, value_enum, default_value_t = StoreArg::Truncate)]
    store: StoreArg,
    /// The seed of the order in which buyers are let in, and of their pace; drawn if not given
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// How buyers are started
    #[arg(long, value_enum, default_value_t = Method::Spawn)]
    start_method: Method,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Lock {
    /// Nothing
    None,
    /// The file lock, flock(2)
    Flock,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Method {
    /// A fresh copy of the executable
    Spawn,
    /// A copy of the parent's memory
    Fork,
    /// Forked from a small server
    Forkserver,
}

impl From<Method> for StartMethod {
    fn from(method: Method) -> Self {
        match method {
            Method::Spawn => StartMethod::Spawn,
            Method::Fork => StartMethod::Fork,
            Method::Forkserver => StartMethod::ForkServer,
        }
    }
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  proclab run life zombie\n  proclab run life all --start-method fork")]
struct LifeArgs {
    /// Which lesson; `all` gives them one after the other
    #[arg(value_enum)]
    lesson: Lessons,
    /// How the lesson's processes are started
    #[arg(long, value_enum, default_value_t = Method::Spawn)]
    start_method: Method,
    #[command(flatten)]
    common: Common,
}

/// One lesson, or all of them.
#[derive(Debug, Clone, Copy)]
struct Lessons(Option<Lesson>);

impl ValueEnum for Lessons {
    fn value_variants<'a>() -> &'a [Self] {
        const ALL: [Lessons; Lesson::ALL.len() + 1] = {
            let mut all = [Lessons(None); Lesson::ALL.len() + 1];
            let mut nth = 0;
            while nth < Lesson::ALL.len() {
                all[nth] = Lessons(Some(Lesson::ALL[nth]));
                nth += 1;
            }
            all
        };
        &ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let (name, subject) = self.0.map_or(("all", "All of them"), |one| (one.name(), one.subject()));
        Some(PossibleValue::new(name).help(subject))
    }
}

impl Lessons {
    fn list(self) -> Vec<Lesson> {
        self.0.map_or_else(|| Lesson::ALL.to_vec(), |one| vec![one])
    }
}

/// Runs `proclab run …`.
pub(crate) fn run(args: RunArgs) -> ExitCode {
    let common = match &args.scenario {
        Scenario::Tickets(args) => &args.common,
        Scenario::Pipeline(args) => &args.common,
        Scenario::Eval(args) => &args.common,
        Scenario::Full(args) => &args.common,
        Scenario::Life(args) => &args.common,
    };
    if common.watch {
        return match WatchArgs::of_this_run() {
            Ok(args) => watch::run(&args),
            Err(error) => Fault::could_not_run(&error).report(),
        };
    }
    match args.scenario {
        Scenario::Tickets(args) => {
            let format = args.common.format;
            tickets(args).and_then(|tickets| perform(format, Shape::Page, |stage| tickets.run(stage)))
        }
        Scenario::Pipeline(args) => {
            let format = args.common.format;
            args.pipeline().and_then(|pipeline| perform(format, Shape::Page, |stage| pipeline.run(stage)))
        }
        Scenario::Eval(args) => {
            let eval = Eval { expression: args.expression, start_method: args.start_method.into() };
            perform(args.common.format, Shape::Page, |stage| eval.run(stage))
        }
        Scenario::Full(args) => {
            perform(args.common.format, Shape::Page, |stage| full::run(args.start_method.into(), stage))
        }
        Scenario::Life(args) => {
            let method = args.start_method.into();
            let lessons = args.lesson.list();
            // Several records are a line each, so that a program can tell them apart.
            let shape = if lessons.len() > 1 { Shape::Line } else { Shape::Page };
            lessons.into_iter().try_fold(ExitCode::SUCCESS, |so_far, lesson| {
                let this = perform(args.common.format, shape, |stage| life::teach(lesson, method, stage))?;
                Ok(if this == ExitCode::SUCCESS { so_far } else { this })
            })
        }
    }
    .unwrap_or_else(|fault| fault.report())
}

fn tickets(args: TicketsArgs) -> Result<Tickets, Fault> {
    let stock = match (args.stock, &args.stock_file) {
        (Some(stock), None) => stock,
        (stock, file) => {
            let counted = stock_file::count(file.as_deref()).map_err(stock_fault)?;
            stock.unwrap_or(counted)
        }
    };
    let sale = Sale {
        buyers: usize::try_from(args.buyers).expect("at most a thousand"),
        stock,
        lock: LockKind::None,
        search: !args.no_search,
        store: args.store.into(),
        think: Duration::from_millis(args.think),
    };
    let locks = match args.lock {
        None => vec![LockKind::None, LockKind::Flock],
        Some(Lock::None) => vec![LockKind::None],
        Some(Lock::Flock) => vec![LockKind::Flock],
    };
    let seed = args.seed.unwrap_or_else(|| rand::random_range(0..1_000_000));
    Ok(Tickets { sale, locks, start_method: args.start_method.into(), seed })
}

fn stock_fault(error: StockFileError) -> Fault {
    Fault::could_not_run(&error).hint("a stock file holds one JSON object with a number, {\"count\": 3}")
}

/// How a record is laid out in JSON.
#[derive(Debug, Clone, Copy)]
enum Shape {
    Page,
    Line,
}

/// Carries a run out and tells of it; the code to exit with.
fn perform(
    format: Format,
    shape: Shape,
    play: impl FnOnce(Stage<'_>) -> Result<Record, RunError>,
) -> Result<ExitCode, Fault> {
    let begin = |error: std::io::Error| Fault::could_not_run(&error).context("the run cannot begin");
    let interrupt = Interrupt::install().map_err(begin)?;
    // A thousand children need more descriptors than a shell gives; who has the fewest says so when it
    // runs out of them.
    let _ = raise_open_file_limit();
    let supervisor = Supervisor::with_interrupt(interrupt).map_err(begin)?.grace(GRACE);
    let mut began_ns = None;
    let mut notes = Notes::inherited();
    let mut told = Ok(());
    let mut audience = |event: &Event| {
        notes.tell(&event.note());
        if format == Format::Text && told.is_ok() && !event.is_for_watchers() {
            let heading = if began_ns.is_none() { report::heading() + "\n" } else { String::new() };
            let line = report::event_line(event, *began_ns.get_or_insert(event.at_ns), width());
            told = output::write(&format!("{heading}{line}\n"));
        }
    };
    let played = play(Stage::new(&supervisor, interrupt, &mut audience));
    match played {
        Ok(record) => {
            supervisor.finish().map_err(|error| Fault::could_not_run(&error))?;
            told.and_then(|()| show(format, shape, &record))?;
            let kept = record.verdict == Verdict::Ok;
            Ok(if kept { ExitCode::SUCCESS } else { ExitCode::from(BROKEN) })
        }
        Err(error) => {
            // Whoever cannot be ended has changed to another user; the error says enough.
            let ended = supervisor.shutdown();
            // After a Ctrl-C whatever goes wrong comes of it: a child, too, may have got the signal.
            let fault = interrupt.received().map_or_else(|| fault_of(&error), Fault::interrupted);
            Err(match ended {
                Ok(()) => fault,
                Err(left) => fault.hint(chain(&left)),
            })
        }
    }
}

fn width() -> Option<usize> {
    terminal_width().map(usize::from)
}

fn fault_of(error: &RunError) -> Fault {
    let fault = Fault::could_not_run(error);
    match error {
        RunError::Scratch(error) => Fault::could_not_run(error),
        RunError::Expression { .. } => fault.hint("write numbers, + - * / ^ and brackets: '1+2*(3-4)'"),
        _ => fault,
    }
}

fn show(format: Format, shape: Shape, record: &Record) -> Result<(), Fault> {
    let text = match format {
        Format::Text => format!("\n{}\n", report::summary(record, width())),
        Format::Json => {
            let json = match shape {
                Shape::Page => serde_json::to_string_pretty(record),
                Shape::Line => serde_json::to_string(record),
            };
            format!("{}\n", json.map_err(|error| Fault::could_not_run(&error))?)
        }
    };
    output::write(&text)
}
