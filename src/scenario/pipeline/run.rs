//! Producers and consumers around one bounded queue: who makes what, who eats what, how it ends, and what a
//! kill loses.

use crate::observe::notes::{Fact, Message};
use crate::process::{Child, Process, StartMethod};
use crate::queue::error::{JoinError, RecvError, TryRecvError};
use crate::queue::{Options, Receiver, ReturnTo, Sender};
use crate::scenario::run::record::{Detail, Event, Record};
use crate::scenario::run::stage::{RunError, Stage, chain};
use crate::scenario::run::verdict::Verdict;
use crate::sys::clock::monotonic_ns;
use crate::sys::poll::Deadline;
use crate::wire::endpoint::{PollableReceiver, pollable_channel};
use ipc_channel::ipc::IpcSender;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How often the parent looks around when nothing is told.
const LOOK: Duration = Duration::from_millis(20);

/// What is run.
#[derive(Debug, Clone, Serialize)]
pub struct Pipeline {
    /// How many processes produce.
    pub producers: usize,
    /// How many processes consume.
    pub consumers: usize,
    /// How many each producer makes.
    pub items: u64,
    /// How many the queue holds.
    pub capacity: usize,
    /// What is made.
    pub food: String,
    /// How long it takes to make one.
    #[serde(rename = "produce_ms", serialize_with = "milliseconds")]
    pub produce: Duration,
    /// How long it takes to eat one.
    #[serde(rename = "consume_ms", serialize_with = "milliseconds")]
    pub consume: Duration,
    /// How the consumers learn that it is over.
    pub end: EndBy,
    /// How many `None`s are put in the end: one for each consumer, or fewer to see what happens.
    pub sentinels: usize,
    /// Which consumer is killed as it takes its so-manieth item.
    #[serde(serialize_with = "kill_point")]
    pub kill: Option<(usize, u64)>,
    /// Whether consumers take leases, so that nothing is lost with them.
    pub leases: bool,
    /// How processes are started.
    pub start_method: StartMethod,
}

fn milliseconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64() * 1e3)
}

/// As one types it: `consumer-1@5`.
fn kill_point<S: Serializer>(kill: &Option<(usize, u64)>, serializer: S) -> Result<S::Ok, S::Error> {
    kill.map(|(consumer, nth)| format!("consumer-{consumer}@{nth}")).serialize(serializer)
}

/// How the consumers learn that nothing more comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EndBy {
    /// The last sender goes, and the queue says so.
    Close,
    /// A `None` for each consumer, as in the notes.
    None,
    /// The parent waits until all is done, and closes the queue.
    Joinable,
}

/// Which item: of which producer, and its number.
type Item = (usize, u64);

/// What a pipeline alone has to tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PipelineRecord {
    /// How many items were put into the queue.
    pub produced: u64,
    /// How many each consumer ate.
    pub eaten: BTreeMap<String, u64>,
    /// Items that were put and never eaten, as producer and number.
    pub missing: Vec<(usize, u64)>,
    /// Items that were eaten more than once.
    pub twice: Vec<(usize, u64)>,
    /// What the queue says was lost, and with whom.
    pub losses: Vec<LossRecord>,
    /// Who waits for ever, and on what.
    pub stuck: Vec<String>,
    /// How long each process was blocked, on full or on empty, in nanoseconds.
    pub blocked_ns: BTreeMap<String, u64>,
    /// How many were queued, whenever something happened.
    pub depth: Vec<Depth>,
}

/// A message that a killed process had taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LossRecord {
    /// Its PID.
    pub pid: u32,
    /// The number of the message in the order of sending, from 0.
    pub message: u64,
}

/// How many were queued at a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Depth {
    /// When, on the events' clock.
    pub at_ns: u64,
    /// How many.
    pub queued: usize,
}

/// What a process tells its parent.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    event: Event,
    put: Option<Item>,
    ate: Option<Item>,
    blocked_ns: u64,
}

/// The parent's books while it runs.
#[derive(Default)]
struct Books {
    put: BTreeSet<Item>,
    ate: BTreeSet<Item>,
    twice: Vec<Item>,
    eaten: BTreeMap<String, u64>,
    blocked_ns: BTreeMap<String, u64>,
    depth: Vec<Depth>,
    /// How many `None`s were taken.
    nones: usize,
    /// How many consumers were killed with an item in hand.
    doomed: usize,
    /// What each process did last.
    last: BTreeMap<String, String>,
}

impl Books {
    fn enter(&mut self, note: &Note, queued: usize) {
        let Note { event, put, ate, blocked_ns } = note;
        self.put.extend(put);
        if let Some(item) = ate {
            *self.eaten.entry(event.process.clone()).or_default() += 1;
            if !self.ate.insert(*item) {
                self.twice.push(*item);
            }
        }
        *self.blocked_ns.entry(event.process.clone()).or_default() += blocked_ns;
        self.nones += usize::from(event.what == "none");
        self.doomed += usize::from(event.what == "doomed");
        self.last.insert(event.process.clone(), event.what.clone());
        self.depth.push(Depth { at_ns: event.at_ns, queued });
    }

    fn waits(&self, name: &str) -> bool {
        self.last.get(name).is_some_and(|what| what == "wait")
    }
}

impl Pipeline {
    /// Runs it to its end, and proves that every item was eaten exactly once, or says what is missing.
    ///
    /// # Errors
    /// [`RunError`].
    pub fn run(&self, mut stage: Stage<'_>) -> Result<Record, RunError> {
        let (notes, incoming) = pollable_channel::<Note>().map_err(RunError::os("socketpair"))?;
        // To the head: behind the `None`s that send the consumers home, nobody would take an item that returns.
        let options = Options::new(self.capacity).return_leases_to(ReturnTo::Head);
        let (sender, receiver) = options.create::<Option<Item>>().map_err(RunError::queue)?;
        let part = |name: String, index| Part { name, index, plan: Plan::of(self), notes: notes.clone() };
        let mut consumers: Vec<Child<()>> = Vec::new();
        for index in 0..self.consumers {
            let name = format!("consumer-{index}");
            let body = Process::new(consume).args((part(name.clone(), index), receiver.clone()));
            let body = body.name(name).start_method(self.start_method).die_with_parent(true);
            consumers.push(stage.supervisor.start(body)?);
        }
        let mut producers: Vec<Child<()>> = Vec::new();
        for index in 0..self.producers {
            let name = format!("producer-{index}");
            let body = Process::new(produce).args((part(name.clone(), index), sender.clone()));
            let body = body.name(name).start_method(self.start_method).die_with_parent(true);
            producers.push(stage.supervisor.start(body)?);
        }
        drop(notes);
        let mut house = House {
            books: Books::default(),
            // With `close` the parent itself must not look like somebody who may send.
            sender: (self.end != EndBy::Close).then_some(sender),
            receiver: Some(receiver),
            sentinels: if self.end == EndBy::None { self.sentinels } else { 0 },
            stuck: Vec::new(),
            losses: Vec::new(),
        };
        house.oversee(self, &mut stage, &incoming, &producers, &consumers)?;
        let all: Vec<_> = producers.iter().chain(&consumers).map(Child::handle).collect();
        stage.join(&all)?;
        Ok(self.sum_up(stage, house))
    }

    fn sum_up(&self, mut stage: Stage<'_>, house: House) -> Record {
        let House { books, stuck, losses, .. } = house;
        let missing: Vec<Item> = books.put.difference(&books.ate).copied().collect();
        let expected = self.producers as u64 * self.items;
        let produced = books.put.len() as u64;
        let verdict = match () {
            () if !stuck.is_empty() => Verdict::Deadlock,
            () if !missing.is_empty() || !books.twice.is_empty() || produced < expected => Verdict::Crashed,
            () => Verdict::Ok,
        };
        for who in &stuck {
            stage.say("deadlock", who.clone());
        }
        for loss in &losses {
            stage.say(
                "lost",
                format!("message {} was lost with PID {}, which had taken it", loss.message, loss.pid),
            );
        }
        let ate: u64 = books.eaten.values().sum();
        stage.say(
            "end",
            format!(
                "{produced} of {expected} were put and {ate} eaten, {} missing: {verdict}",
                missing.len()
            ),
        );
        let record = PipelineRecord {
            produced,
            eaten: books.eaten,
            missing,
            twice: books.twice,
            losses,
            stuck,
            blocked_ns: books.blocked_ns,
            depth: books.depth,
        };
        Record {
            scenario: "pipeline".to_owned(),
            parameters: serde_json::to_value(self).unwrap_or_default(),
            processes: stage.processes,
            events: stage.events,
            detail: Detail::Pipeline(record),
            verdict,
        }
    }
}

/// The parent's part.
struct House {
    books: Books,
    sender: Option<Sender<Option<Item>>>,
    receiver: Option<Receiver<Option<Item>>>,
    /// How many `None`s are still to be put.
    sentinels: usize,
    stuck: Vec<String>,
    losses: Vec<LossRecord>,
}

impl House {
    /// Listens until everybody has gone, or nobody can go on.
    fn oversee(
        &mut self,
        pipeline: &Pipeline,
        stage: &mut Stage<'_>,
        incoming: &PollableReceiver<Note>,
        producers: &[Child<()>],
        consumers: &[Child<()>],
    ) -> Result<(), RunError> {
        loop {
            loop {
                match incoming.try_recv() {
                    Ok(note) => self.hear(note, stage, consumers),
                    Err(ipc_channel::TryRecvError::Empty) => break,
                    Err(ipc_channel::TryRecvError::IpcError(_)) => {
                        self.look_for_losses();
                        return Ok(());
                    }
                }
            }
            if producers.iter().all(|child| !child.is_alive()) {
                self.wind_up(pipeline, consumers)?;
            }
            if consumers.iter().all(|child| !child.is_alive()) {
                // Nobody eats any more: producers that wait for room must hear of it.
                self.look_for_losses();
                self.receiver = None;
            }
            stage.await_readable(incoming, Deadline::after(LOOK))?;
        }
    }

    fn hear(&mut self, note: Note, stage: &mut Stage<'_>, consumers: &[Child<()>]) {
        let queued = self.receiver.as_ref().map_or(0, Receiver::len);
        self.books.enter(&note, queued);
        if note.event.what == "doomed"
            && let Some(consumer) = consumers.iter().find(|child| child.name() == note.event.process)
        {
            // It waits to be killed; if it is dead already, so much the better.
            let _ = consumer.kill();
        }
        stage.tell(note.event);
    }

    /// All has been made: sees to it that the consumers learn it.
    fn wind_up(&mut self, pipeline: &Pipeline, consumers: &[Child<()>]) -> Result<(), RunError> {
        let (Some(sender), Some(receiver)) = (&self.sender, &self.receiver) else { return Ok(()) };
        match pipeline.end {
            EndBy::Close => {}
            EndBy::None => {
                while self.sentinels > 0 && sender.try_send(None).is_ok() {
                    self.sentinels -= 1;
                }
                // Whoever took something has told what became of it.
                let put = pipeline.sentinels - self.sentinels;
                let doomed = if pipeline.leases { 0 } else { self.books.doomed };
                let accounted =
                    self.books.nones == put && self.books.ate.len() + doomed >= self.books.put.len();
                let living = || consumers.iter().filter(|child| child.is_alive());
                // Nobody makes anything, the parent puts nothing more, and nothing is under way: who waits
                // now waits for ever.
                let nothing_comes = self.sentinels == 0 && accounted && sender.is_empty();
                if nothing_comes
                    && living().count() > 0
                    && living().all(|child| self.books.waits(child.name()))
                {
                    for child in living() {
                        self.stuck.push(format!(
                            "{} (PID {}) waits on the empty queue for an item or a None, and nobody is left to put one",
                            child.name(),
                            child.pid()
                        ));
                        // It would never go by itself.
                        let _ = child.kill();
                    }
                    self.sender = None;
                }
            }
            EndBy::Joinable => match sender.join_timeout(Duration::ZERO) {
                Ok(()) | Err(JoinError::Disconnected) => {
                    receiver.close().map_err(RunError::os("closing the queue"))?;
                    self.sender = None;
                }
                Err(_) => {}
            },
        }
        Ok(())
    }

    fn look_for_losses(&mut self) {
        let losses =
            self.receiver.as_ref().and_then(|receiver| receiver.take_losses().ok()).unwrap_or_default();
        self.losses.extend(losses.iter().map(|loss| LossRecord { pid: loss.pid, message: loss.first }));
    }
}

/// What a process has to know.
#[derive(Debug, Serialize, Deserialize)]
struct Part {
    name: String,
    index: usize,
    plan: Plan,
    notes: IpcSender<Note>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Plan {
    items: u64,
    food: String,
    produce: Duration,
    consume: Duration,
    leases: bool,
    kill: Option<(usize, u64)>,
}

impl Plan {
    fn of(pipeline: &Pipeline) -> Plan {
        let Pipeline { items, food, produce, consume, kill, .. } = pipeline;
        let leases = pipeline.leases || pipeline.end == EndBy::Joinable;
        Plan { items: *items, food: food.clone(), produce: *produce, consume: *consume, leases, kill: *kill }
    }
}

/// The queue's name, for watchers.
const QUEUE: &str = "queue";

fn message((producer, number): Item) -> Message {
    Message { queue: QUEUE.to_owned(), sender: format!("producer-{producer}"), number }
}

impl Part {
    fn tell(&self, event: Event, put: Option<Item>, ate: Option<Item>, blocked_ns: u64) {
        // If nobody listens any more, the kernel is about to end this process with its parent.
        let _ = self.notes.send(Note { event, put, ate, blocked_ns });
    }

    fn event(&self, what: &str, text: impl Into<String>) -> Event {
        Event::now(&self.name, what, text)
    }

    fn say(&self, what: &str, text: &str) {
        self.tell(self.event(what, text), None, None, 0);
    }

    fn wait_for_room(&self) {
        let event = self.event("wait", "waits: the queue is full");
        self.tell(event.with_fact(Fact::RoomAwaited(QUEUE.to_owned())), None, None, 0);
    }

    fn wait_for_item(&self) {
        let event = self.event("wait", "waits: the queue is empty");
        self.tell(event.with_fact(Fact::MessageAwaited(QUEUE.to_owned())), None, None, 0);
    }
}

fn produce(part: Part, sender: Sender<Option<Item>>) {
    for number in 0..part.plan.items {
        std::thread::sleep(part.plan.produce);
        let item = (part.index, number);
        if sender.is_full() {
            part.wait_for_room();
        }
        let begin = monotonic_ns();
        if sender.send(Some(item)).is_err() {
            part.say("refused", "goes home: nobody is left who eats");
            return;
        }
        let text = format!("made {}{number}", part.plan.food);
        let event = part.event("put", text).with_fact(Fact::Put(message(item)));
        part.tell(event, Some(item), None, monotonic_ns() - begin);
    }
}

fn consume(part: Part, receiver: Receiver<Option<Item>>) {
    for nth in 1.. {
        let begin = monotonic_ns();
        let doomed = part.plan.kill == Some((part.index, nth));
        let more = if part.plan.leases {
            let taken = match receiver.try_lease() {
                Err(TryRecvError::Empty) => {
                    part.wait_for_item();
                    receiver.lease()
                }
                taken => taken.map_err(ended),
            };
            let lease = match taken {
                Ok(lease) => lease,
                Err(error) => return part.say("over", &why_home(&error)),
            };
            let more = eat(&part, *lease, lease.deliveries(), begin, doomed);
            // A lease that is not done comes back, which is what it is for.
            more && lease.done().is_ok()
        } else {
            let taken = match receiver.try_recv() {
                Err(TryRecvError::Empty) => {
                    part.wait_for_item();
                    receiver.recv()
                }
                taken => taken.map_err(ended),
            };
            match taken {
                Ok(item) => eat(&part, item, 1, begin, doomed),
                Err(error) => return part.say("over", &why_home(&error)),
            }
        };
        if !more {
            return;
        }
    }
}

/// The same as the error of a wait.
fn ended(error: TryRecvError) -> RecvError {
    match error {
        TryRecvError::Empty | TryRecvError::Disconnected => RecvError::Disconnected,
        TryRecvError::Unreadable(why) => RecvError::Unreadable(why),
    }
}

/// Why a consumer that received nothing ends.
fn why_home(error: &RecvError) -> String {
    match error {
        RecvError::Disconnected => "goes home: the queue is closed".to_owned(),
        RecvError::Unreadable(_) => format!("goes home: {}", chain(error)),
    }
}

/// Eats an item; false if it was the `None` that sends the consumer home.
fn eat(part: &Part, item: Option<Item>, deliveries: u32, begin: u64, doomed: bool) -> bool {
    let blocked_ns = monotonic_ns() - begin;
    let Some((producer, number)) = item else {
        part.say("none", "takes a None, and goes home");
        return false;
    };
    let food = format!("{}{number} of producer-{producer}", part.plan.food);
    let taken = Fact::Taken(message((producer, number)));
    part.tell(part.event("get", format!("takes {food}")).with_fact(taken), None, None, 0);
    if doomed {
        part.say("doomed", &format!("takes {food}, and is killed with it in hand"));
        loop {
            std::thread::park();
        }
    }
    std::thread::sleep(part.plan.consume);
    let again = if deliveries > 1 { format!(" (delivered {deliveries} times)") } else { String::new() };
    let event = part.event("ate", format!("ate {food}{again}"));
    part.tell(event, None, Some((producer, number)), blocked_ns);
    true
}
