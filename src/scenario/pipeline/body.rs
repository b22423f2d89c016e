//! Producers, consumers and a bounded queue at the gate: who waits for ever?
//!
//! Every item is put and taken by a real process. With our own queue a step is one operation of it,
//! in its non-blocking form. The queue that loses wake-ups is what one writes first: look whether
//! there is something, and if not, lie down and wait to be woken; whoever puts something wakes whoever
//! lies there *now*.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::explore::engine::Trace;
use crate::explore::gate::{Desk, Gate, GateError, Post};
use crate::explore::step::{Access, Seen, Step, letter};
use crate::process::Process;
use crate::queue::error::{TryRecvError, TrySendError};
use crate::queue::{Receiver, Sender, bounded};
use crate::scenario::run::lab::{GatedLab, Rules};
use crate::scenario::run::verdict::Verdict;
use crate::scenario::world::{decode, encode};
use crate::shm::region::{Region, RegionError};
use crate::supervisor::Supervisor;
use crate::wire::handle::Fd;

/// The most that can be asked for of anything.
pub const MOST: u64 = 8;
/// What a sentinel is in the queue; items are counted from 1.
const SENTINEL: u32 = 0;

/// Through what the items go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Queue {
    /// The queue of this library.
    #[default]
    Ours,
    /// One that looks first and lies down afterwards.
    LostWakeup,
}

/// Who puts what, and who takes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pipeline {
    /// How many producers there are.
    pub producers: u64,
    /// How many consumers.
    pub consumers: u64,
    /// How many items each producer puts.
    pub items: u64,
    /// How many the queue holds.
    pub capacity: u64,
    /// How many sentinels the main process puts when all producers have finished.
    pub sentinels: u64,
    /// What the queue is.
    pub queue: Queue,
}

impl Pipeline {
    /// Producers, consumers, and the main process.
    pub fn processes(&self) -> usize {
        (self.producers + self.consumers + 1) as usize
    }

    /// What `process` is.
    pub fn role(&self, process: usize) -> &'static str {
        match self.part(process) {
            Role::Producer => "producer",
            Role::Consumer => "consumer",
            Role::Main => "main",
        }
    }

    fn part(&self, process: usize) -> Role {
        let process = process as u64;
        if process < self.producers {
            Role::Producer
        } else if process < self.producers + self.consumers {
            Role::Consumer
        } else {
            Role::Main
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Producer,
    Consumer,
    Main,
}

/// Words of the memory that all share: how many producers have finished, then the queue that loses
/// wake-ups: first and next place, places, and for each process whether it sleeps (1) or was woken (2).
mod word {
    pub(super) const FINISHED: usize = 0;
    pub(super) const FIRST: usize = 4;
    pub(super) const NEXT: usize = 8;
    pub(super) const PLACES: usize = 64;
    pub(super) const SLEEPERS: usize = PLACES + 4 * 256;
    pub(super) const LEN: usize = SLEEPERS + 4 * 32;
}

/// Producers and consumers that wait at the gate.
pub type PipelineLab<'s> = GatedLab<'s, Shared>;

/// What they share, as the scheduler holds it.
#[derive(Debug)]
pub struct Shared {
    pipeline: Pipeline,
    memory: Region,
    ours: (Sender<u32>, Receiver<u32>),
}

#[derive(Debug, Serialize, Deserialize)]
struct Setup {
    pipeline: Pipeline,
    process: usize,
    memory: Fd,
    sender: Sender<u32>,
    receiver: Receiver<u32>,
}

/// The body of every process. A failure is a panic: the scheduler is told, and it is `crashed`.
fn body(post: Post, setup: Setup) {
    let open = |_: &[u8; 1], _| Ok::<_, RegionError>(word::LEN);
    let memory = Region::open(setup.memory.into_owned(), open).unwrap_or_else(|error| panic!("{error}"));
    let place = Place {
        process: setup.process,
        pipeline: &setup.pipeline,
        memory: &memory,
        ours: (&setup.sender, &setup.receiver),
    };
    let served = post.serve(|desk| {
        let done = match setup.pipeline.part(setup.process) {
            Role::Producer => place.produce(desk),
            Role::Consumer => place.consume(desk),
            Role::Main => place.close(desk),
        };
        if let Err(error) = done {
            std::panic::resume_unwind(Box::new(error.to_string()));
        }
    });
    served.unwrap_or_else(|error| panic!("{error}"));
}

/// A process and what it works with.
struct Place<'a> {
    process: usize,
    pipeline: &'a Pipeline,
    memory: &'a Region,
    ours: (&'a Sender<u32>, &'a Receiver<u32>),
}

impl Place<'_> {
    fn word(&self, offset: usize) -> &AtomicU32 {
        self.memory.word32(offset)
    }

    fn produce(&self, desk: &mut Desk<'_>) -> io::Result<()> {
        for item in 1..=self.pipeline.items {
            let number = self.process as u32 * self.pipeline.items as u32 + item as u32;
            // The last one tells the main process, in the same step.
            self.put(desk, number, item == self.pipeline.items)?;
        }
        Ok(())
    }

    fn close(&self, desk: &mut Desk<'_>) -> io::Result<()> {
        desk.wait_for(Step::new("join", "queue", Access::Await), || {
            let all = u64::from(self.word(word::FINISHED).load(Ordering::Relaxed)) == self.pipeline.producers;
            Ok(all.then(|| ((), "all producers have finished".to_owned().into())))
        })?;
        for _ in 0..self.pipeline.sentinels {
            self.put(desk, SENTINEL, false)?;
        }
        Ok(())
    }

    fn put(&self, desk: &mut Desk<'_>, number: u32, last: bool) -> io::Result<()> {
        desk.wait_for(Step::new("put", "queue", Access::Await), || {
            let put = match self.pipeline.queue {
                Queue::Ours => match self.ours.0.try_send(number) {
                    Ok(()) => true,
                    Err(TrySendError::Full(_)) => false,
                    Err(error) => return Err(io::Error::other(error.to_string())),
                },
                Queue::LostWakeup => self.push(number),
            };
            if put && last {
                self.word(word::FINISHED).fetch_add(1, Ordering::Relaxed);
            }
            Ok(put.then(|| ((), name(number).into())))
        })?;
        if self.pipeline.queue == Queue::LostWakeup {
            let wake = || {
                let processes = 0..self.pipeline.processes();
                let sleeper = |process: &usize| self.sleeper(*process).load(Ordering::Relaxed) == 1;
                processes.into_iter().find(sleeper).inspect(|process| {
                    self.sleeper(*process).store(2, Ordering::Relaxed);
                })
            };
            desk.step(Step::new("wake", "bed", Access::Write), wake, |woken| match woken {
                Some(process) => format!("wakes {}", letter(*process)).into(),
                None => "nobody sleeps".to_owned().into(),
            });
        }
        Ok(())
    }

    fn consume(&self, desk: &mut Desk<'_>) -> io::Result<()> {
        loop {
            let number = match self.pipeline.queue {
                Queue::Ours => desk.wait_for(Step::new("take", "queue", Access::Await), || {
                    match self.ours.1.try_recv() {
                        Ok(number) => Ok(Some((number, taken(number)))),
                        Err(TryRecvError::Empty) => Ok(None),
                        Err(error) => Err(io::Error::other(error.to_string())),
                    }
                })?,
                Queue::LostWakeup => self.look_and_lie_down(desk)?,
            };
            if number == SENTINEL {
                return Ok(());
            }
        }
    }

    fn look_and_lie_down(&self, desk: &mut Desk<'_>) -> io::Result<u32> {
        loop {
            let look = Step::new("look", "queue", Access::Read);
            let empty = desk.step(
                look,
                || self.len() == 0,
                |empty| if *empty { "nothing is there" } else { "something is there" }.to_owned().into(),
            );
            if empty {
                let bed = self.sleeper(self.process);
                desk.step(
                    Step::new("sleep", "bed", Access::Write),
                    || bed.store(1, Ordering::Relaxed),
                    |()| "lies down".to_owned().into(),
                );
                desk.wait_for(Step::new("get-up", "bed", Access::Await), || {
                    let woken = bed.compare_exchange(2, 0, Ordering::Relaxed, Ordering::Relaxed).is_ok();
                    Ok(woken.then(|| ((), "was woken".to_owned().into())))
                })?;
                continue;
            }
            let take = Step::new("take", "queue", Access::Write);
            let taken = desk.step(
                take,
                || self.pop(),
                |number| match number {
                    Some(number) => taken(*number),
                    None => "somebody was first".to_owned().into(),
                },
            );
            if let Some(number) = taken {
                return Ok(number);
            }
        }
    }

    fn sleeper(&self, process: usize) -> &AtomicU32 {
        self.word(word::SLEEPERS + 4 * process)
    }

    fn len(&self) -> u32 {
        self.word(word::NEXT).load(Ordering::Relaxed) - self.word(word::FIRST).load(Ordering::Relaxed)
    }

    /// Only one process runs at a time, so these need no lock.
    fn push(&self, number: u32) -> bool {
        if u64::from(self.len()) >= self.pipeline.capacity {
            return false;
        }
        let next = self.word(word::NEXT).fetch_add(1, Ordering::Relaxed);
        self.word(word::PLACES + 4 * (next as usize % 256)).store(number, Ordering::Relaxed);
        true
    }

    fn pop(&self) -> Option<u32> {
        (self.len() > 0).then(|| {
            let first = self.word(word::FIRST).fetch_add(1, Ordering::Relaxed);
            self.word(word::PLACES + 4 * (first as usize % 256)).load(Ordering::Relaxed)
        })
    }
}

/// What a process that takes something tells: the judge counts items.
fn taken(number: u32) -> Seen {
    Seen { text: name(number), observation: encode(&Taken { number }) }
}

#[derive(Debug, Serialize, Deserialize)]
struct Taken {
    number: u32,
}

fn name(number: u32) -> String {
    if number == SENTINEL { "sentinel".to_owned() } else { format!("item {number}") }
}

impl<'s> GatedLab<'s, Shared> {
    /// A pipeline of processes that `supervisor` owns.
    ///
    /// # Errors
    /// When memory cannot be had.
    pub fn new(supervisor: &'s Supervisor, pipeline: &Pipeline, _: &Path) -> Result<Self, GateError> {
        let memory = Region::create(word::LEN as u64, word::LEN)?;
        let ours = bounded(pipeline.capacity as usize).map_err(io::Error::other)?;
        let (told, file, ends) = (pipeline.clone(), memory.file().try_clone_to_owned()?, ours.clone());
        let gate = Gate::new(pipeline.processes(), move |process, post| {
            let name = format!("{}-{}", told.role(process), letter(process));
            let memory = file.try_clone().map_err(|source| crate::process::StartError::Os {
                name: name.clone(),
                operation: "dup",
                source,
            })?;
            let (sender, receiver) = ends.clone();
            let setup = Setup { pipeline: told.clone(), process, memory: memory.into(), sender, receiver };
            supervisor.start(Process::new(body).args((post, setup)).name(name).daemon(true))
        })?;
        Ok(Self { gate, rules: Shared { pipeline: pipeline.clone(), memory, ours } })
    }
}

impl Rules for Shared {
    fn begin_anew(&mut self) -> io::Result<()> {
        for offset in [word::FINISHED, word::FIRST, word::NEXT] {
            self.memory.word32(offset).store(0, Ordering::Relaxed);
        }
        for process in 0..self.pipeline.processes() {
            self.memory.word32(word::SLEEPERS + 4 * process).store(0, Ordering::Relaxed);
        }
        while self.ours.1.try_recv().is_ok() {}
        Ok(())
    }

    fn judge(&self, trace: &Trace) -> io::Result<Verdict> {
        let taken = trace.events.iter().filter_map(|event| decode::<Taken>(&event.observation));
        let taken = taken.filter(|taken| taken.number != SENTINEL);
        let all = taken.count() as u64 == self.pipeline.producers * self.pipeline.items;
        Ok(match (trace.deadlocked(), all) {
            (true, _) => Verdict::Deadlock,
            (_, false) => Verdict::LostUpdate,
            _ => Verdict::Ok,
        })
    }

    fn broken_at(&self, trace: &Trace) -> Option<(usize, String)> {
        let stuck = trace.stuck.iter().enumerate().filter_map(|(process, step)| {
            let what = match (step.as_ref()?.name.as_str(), self.pipeline.queue) {
                ("take", _) => "for an item that nobody will put",
                ("put", _) => "for room that nobody will make",
                ("get-up", _) => "to be woken, and nobody will",
                _ => "for others that wait",
            };
            Some(format!("{} waits {what}", letter(process)))
        });
        let stuck: Vec<_> = stuck.collect();
        (!stuck.is_empty()).then(|| (trace.events.len(), format!("nobody can go on: {}", stuck.join(", "))))
    }
}
