//! "When five are in, putting blocks until one is taken out": shown, with states and times.

use crate::sys::procfs::stat::of_process;
use std::time::Duration;

use clap::{ArgMatches, Args, Command, FromArgMatches};
use schemars::Schema;
use schemars::generate::SchemaGenerator;

use super::contract::{Act, Method, ParamsError, Verb};
use super::entry::Entry;
use super::run::record::{Event, Proof, ProofRecord, Record};
use super::run::stage::{RunError, Stage};
use crate::observe::notes::{Fact, Message};
use crate::process::{Process, StartMethod};
use crate::queue::{Sender, bounded};
use crate::sys::clock::monotonic_ns;
use crate::sys::poll::Deadline;
use crate::wire::control;

const CAPACITY: usize = 5;
/// How long the sixth has to wait.
const HELD: Duration = Duration::from_millis(300);
/// Everything before that takes far less.
const PATIENCE: Duration = Duration::from_secs(10);

/// The entry of the registry.
#[derive(Debug)]
pub struct Full;

/// The options of `run`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  proclab run full\n  proclab run full --start-method fork --format json")]
struct FullArgs {
    /// How the child is started
    #[arg(long, value_enum, default_value_t = Method::Spawn)]
    start_method: Method,
}

impl Entry for Full {
    fn name(&self) -> &'static str {
        "full"
    }

    fn about(&self) -> &'static str {
        "putting into a full queue blocks until something is taken out: shown with states and times"
    }

    fn arguments(&self, verb: Verb) -> Result<Command, &'static str> {
        match verb {
            Verb::Run => Ok(FullArgs::augment_args(Command::new("full"))),
            Verb::Trials | Verb::Explore => Err("one child puts and one parent takes, so nothing races"),
        }
    }

    fn acts(&self, matches: &ArgMatches) -> Result<Vec<Act>, ParamsError> {
        let FullArgs { start_method } = FullArgs::from_arg_matches(matches)?;
        Ok(vec![Act::new(move |stage| run(start_method.into(), stage))])
    }

    fn detail(&self, generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<ProofRecord>()
    }
}

fn run(start_method: StartMethod, mut stage: Stage<'_>) -> Result<Record, RunError> {
    let (events, incoming) = control::channel::<Event>().map_err(RunError::os("socketpair"))?;
    let (sender, receiver) = bounded::<u64>(CAPACITY).map_err(RunError::queue)?;
    let child = Process::new(put_six)
        .args((sender, events))
        .name("putter")
        .start_method(start_method)
        .die_with_parent(true);
    let child = stage.supervisor.start(child)?;

    let deadline = Deadline::after(PATIENCE);
    let state = || of_process(child.pid()).map_or('?', |stat| stat.letter);
    let is_blocked = || receiver.is_full() && state() == 'S';
    while !is_blocked() && !deadline.is_over() {
        stage.pause(Deadline::after(Duration::from_millis(2)))?;
    }
    while let Ok(event) = incoming.try_recv() {
        stage.tell(event);
    }
    let (full, state_then) = (receiver.len(), state());
    stage.say(
        "look",
        format!("{full} of {CAPACITY} are in; the putter's state is {state_then}: it sleeps in put"),
    );
    stage.pause(Deadline::after(HELD))?;
    let still = is_blocked();
    let word = if still { "it sleeps still" } else { "it does not sleep any more" };
    stage.say("look", format!("{:.0} ms later {word}; takes one out", HELD.as_secs_f64() * 1e3));
    let taken_ns = monotonic_ns();
    let first = receiver.recv().map_err(RunError::queue)?;
    stage.say_fact("get", format!("takes {first} out"), Fact::Taken(message(first)));
    stage.listen(&incoming)?;
    stage.join(&[child.handle()])?;
    let (waited_ns, went_on_ns) = child.result()?;
    let rest: Vec<u64> = receiver.try_iter().collect::<Result<_, _>>().map_err(RunError::queue)?;
    for number in &rest {
        stage.say_fact("get", format!("takes {number} out"), Fact::Taken(message(*number)));
    }

    let holds = full == CAPACITY
        && state_then == 'S'
        && still
        && Duration::from_nanos(waited_ns) >= HELD
        && went_on_ns >= taken_ns
        && first == 1
        && rest == [2, 3, 4, 5, 6];
    let seen = format!(
        "{full} were in, state {state_then}, asleep later: {still}, waited {:.0} ms, then {first} and {rest:?} came",
        waited_ns as f64 / 1e6
    );
    let claim = "put blocks when five are in, and goes on when one is taken; what is put comes out in order"
        .to_owned();
    stage.say("end", format!("the sixth put took {:.0} ms", waited_ns as f64 / 1e6));
    let parameters = serde_json::json!({ "capacity": CAPACITY, "start_method": start_method });
    let proof = Proof { claim, holds, seen: (!holds).then_some(seen) };
    Ok(stage.prove("full", parameters, proof))
}

/// Messages are counted from 1.
fn message(number: u64) -> Message {
    Message { queue: "queue".to_owned(), sender: "putter".to_owned(), number }
}

/// Puts six, and says how long the last one took and when it was done, in nanoseconds.
fn put_six(sender: Sender<u64>, events: control::Sender<Event>) -> (u64, u64) {
    let name = crate::process::current().name().to_owned();
    let say = |what: &str, text: String, fact: Fact| {
        drop(events.send(Event::now(&name, what, text).with_fact(fact)));
    };
    let mut took = 0;
    for number in 1..=CAPACITY as u64 + 1 {
        if sender.is_full() {
            let fact = Fact::RoomAwaited("queue".to_owned());
            say("wait", format!("puts {number}: the queue is full"), fact);
        }
        let begin = monotonic_ns();
        // The parent receives, or ends this process with itself.
        let _ = sender.send(number);
        took = monotonic_ns() - begin;
        let text = format!("has put {number}, after {:.3} ms", took as f64 / 1e6);
        say("put", text, Fact::Put(message(number)));
    }
    (took, monotonic_ns())
}
