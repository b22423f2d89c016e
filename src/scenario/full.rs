//! Demonstrates that sending to a full queue blocks until an item is taken, with states and times.

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

sentences! {
    /// What the lesson claims.
    enum Claim {
        PutBlocks =>
            "put blocks while the queue is full and returns when an item is taken; items leave in the order they came",
            "队列满时 put 会阻塞，有物品被取出后才返回；物品按放入的次序取出";
    }
}

const CAPACITY: usize = 5;
/// How long the sixth item has to wait.
const HOLD: Duration = Duration::from_millis(300);
/// The limit for everything before that, which takes far less.
const SETUP_TIMEOUT: Duration = Duration::from_secs(10);

/// The registry entry.
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
        "sending to a full queue blocks until an item is taken: the states and times that show it"
    }

    fn arguments(&self, verb: Verb) -> Result<Command, &'static str> {
        match verb {
            Verb::Run => Ok(FullArgs::augment_args(Command::new("full"))),
            Verb::Trials | Verb::Explore => Err("one child puts and one parent takes, so there is no race"),
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

    let deadline = Deadline::after(SETUP_TIMEOUT);
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
        format!("the queue holds {full} of {CAPACITY}; the putter's state is {state_then}: it sleeps in put"),
    );
    stage.pause(Deadline::after(HOLD))?;
    let still = is_blocked();
    let word = if still { "it is still asleep" } else { "it is no longer asleep" };
    stage.say("look", format!("{:.0} ms later {word}; takes one item", HOLD.as_secs_f64() * 1e3));
    let taken_ns = monotonic_ns();
    let first = receiver.recv().map_err(RunError::queue)?;
    stage.say_fact("get", format!("takes {first}"), Fact::Taken(message(first)));
    stage.listen(&incoming)?;
    stage.join(&[child.handle()])?;
    let (waited_ns, went_on_ns) = child.result()?;
    let rest: Vec<u64> = receiver.try_iter().collect::<Result<_, _>>().map_err(RunError::queue)?;
    for number in &rest {
        stage.say_fact("get", format!("takes {number}"), Fact::Taken(message(*number)));
    }

    let holds = full == CAPACITY
        && state_then == 'S'
        && still
        && Duration::from_nanos(waited_ns) >= HOLD
        && went_on_ns >= taken_ns
        && first == 1
        && rest == [2, 3, 4, 5, 6];
    let seen = format!(
        "{full} in the queue, state {state_then}, still asleep: {still}, waited {:.0} ms, then received {first} and {rest:?}",
        waited_ns as f64 / 1e6
    );
    stage.say("end", format!("the sixth put took {:.0} ms", waited_ns as f64 / 1e6));
    let parameters = serde_json::json!({ "capacity": CAPACITY, "start_method": start_method });
    let proof = Proof { claim: Claim::PutBlocks.into(), holds, seen: (!holds).then_some(seen) };
    Ok(stage.prove("full", parameters, proof))
}

/// Messages are counted from 1.
fn message(number: u64) -> Message {
    Message { queue: "queue".to_owned(), sender: "putter".to_owned(), number }
}

/// Puts six items; returns how long the last one took and when it was done, in nanoseconds.
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
        // Either the parent receives, or this process ends with it.
        let _ = sender.send(number);
        took = monotonic_ns() - begin;
        let text = format!("has put {number} after {:.3} ms", took as f64 / 1e6);
        say("put", text, Fact::Put(message(number)));
    }
    (took, monotonic_ns())
}
