//! The tracer: one execution after another of a command, one task at a time, a granted call at a time.
//!
//! All tasks but one stand: at the entry of a call that others could see or influence, at the return of a
//! call that they slept in, or asleep in the kernel. What a granted task does until its next visible call is
//! nobody else's business, so it runs there without a decision. Tasks that the granted call has made or
//! woken go on after it, one after another, in the order of their making.

mod advance;

use crate::sys::pid::Pid;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::calls;
use super::limits::Command;
use super::objects::Objects;
use super::outcome::Outcome;
use super::plan::Act;
use super::program::Image;
use super::scratch::{self, ScratchError, Tree};
use super::stamps::Ranks;
use super::waiting::Came;
use super::words;
use super::world::{Call, State, Task, World};
use crate::explore::step::{Effect, Observation, Seen, Step};
use crate::process::CommandError;
use crate::sys::ptrace::arch::Registers;
use crate::sys::ptrace::filter::Filter;
use crate::sys::ptrace::namespace::{Numbers, SHARED_MEMORY};
use crate::sys::ptrace::start::{Program, StartTracedError};
use crate::sys::ptrace::stops::{self, Stop, Watchdog};

/// An execution could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum TracedError {
    /// The program could not be executed.
    #[error("cannot run the command")]
    Command(#[source] CommandError),
    /// The program could not be started.
    #[error(transparent)]
    Start(StartTracedError),
    /// The folder could not be prepared.
    #[error(transparent)]
    Scratch(#[from] ScratchError),
    /// A request to the kernel failed: what, and why.
    #[error("the program could not be traced: {0}")]
    Trace(&'static str, #[source] io::Error),
}

/// How often a task that neither stops nor ends is looked at.
const PERIOD: Duration = Duration::from_millis(5);

/// The tracer of one command.
#[derive(Debug)]
pub struct Machine {
    command: Command,
    template: Tree,
    /// The times of what is in it.
    ranks: Ranks,
    filter: Filter,
    image: Image,
    null: OwnedFd,
    streams: [OwnedFd; 2],
    pub(super) world: World,
    /// Names of tasks by number, over all executions.
    pub(super) names: Vec<String>,
    numbers: HashMap<String, usize>,
    /// Stops of tasks that are not known yet.
    pub(super) strangers: VecDeque<(Pid, Stop)>,
    /// Tasks made since the last grant began.
    pub(super) created: Vec<usize>,
    /// The step at which each task waits, by number.
    pub(super) announced: Vec<Option<Step>>,
    /// The signals that are on their way, by the number of the task that stands for the arrival.
    pub(super) arrivals: BTreeMap<usize, (usize, i32, Step)>,
    /// The outcomes so far.
    pub(super) outcomes: BTreeSet<Arc<Outcome>>,
    _watchdog: Watchdog,
}

impl TracedError {
    /// Why `program` was not started.
    pub(super) fn of(program: &str, error: StartTracedError) -> Self {
        match error {
            StartTracedError::Prepare("execve", source) => {
                TracedError::Command(CommandError::of(program.to_owned(), source))
            }
            error => TracedError::Start(error),
        }
    }
}

pub(super) type Done<T = ()> = Result<T, TracedError>;

pub(super) fn failed(what: &'static str) -> impl FnOnce(io::Error) -> TracedError {
    move |error| TracedError::Trace(what, error)
}

impl Machine {
    /// A tracer whose executions happen in the folder `root`, which is its own.
    ///
    /// # Errors
    /// When the command's folder is too large or cannot be read, or there is no such program.
    pub fn new(command: &Command, root: PathBuf, template: Tree, numbers: Option<Numbers>) -> Done<Self> {
        let image = Image::new(command, &root)?;
        let ranks = Ranks::of(command.directory.as_deref(), &template);
        let (null, streams) = super::program::streams().map_err(failed("pipe"))?;
        let inodes = super::program::inodes(&streams).map_err(failed("fstat"))?;
        let world = World {
            root,
            tasks: Vec::new(),
            by_tid: HashMap::new(),
            objects: Objects::default(),
            streams: inodes,
            output: BTreeMap::new(),
            uncontrolled: BTreeMap::new(),
            limits: command.limits,
            timeouts: command.timeouts,
            strict: command.strict,
            noise: command.noise.clone(),
            steps: 0,
            cut: None,
            learned: command.facts.clone(),
            has_learned: false,
            candidates: BTreeSet::new(),
            told: Vec::new(),
            ends: None,
            times: HashMap::new(),
            made: BTreeSet::new(),
            given_times: HashMap::new(),
            numbers,
        };
        Ok(Self {
            command: command.clone(),
            template,
            ranks,
            filter: calls::filter(),
            image,
            null,
            streams,
            world,
            names: Vec::new(),
            numbers: HashMap::new(),
            strangers: VecDeque::new(),
            created: Vec::new(),
            announced: Vec::new(),
            arrivals: BTreeMap::new(),
            outcomes: BTreeSet::new(),
            _watchdog: Watchdog::start(PERIOD).map_err(failed("setitimer"))?,
        })
    }

    /// The command.
    pub fn command(&self) -> &Command {
        &self.command
    }

    /// The folder of the executions.
    pub fn root(&self) -> &std::path::Path {
        &self.world.root
    }

    /// Ends what is left of the last execution, and begins another: every task at its first visible call.
    pub(super) fn begin(&mut self) -> Done {
        self.end_all()?;
        scratch::write_tree(&self.world.root, &self.template)?;
        self.ranks.apply(&self.world.root);
        if self.world.numbers.is_some() {
            scratch::clear_beside(&self.world.root, SHARED_MEMORY.as_ref());
        }
        self.world.objects = Objects::default();
        self.world.output.clear();
        self.world.times.clear();
        self.world.made.clear();
        self.world.given_times.clear();
        self.world.uncontrolled.clear();
        (self.world.steps, self.world.cut) = (0, None);
        self.world.told.clear();
        self.arrivals.clear();
        self.created.clear();
        let directory = CString::new(self.world.root.as_os_str().as_encoded_bytes()).unwrap_or_default();
        let program = Program {
            path: &self.image.path,
            arguments: &self.image.arguments,
            environment: &self.image.environment,
            directory: &directory,
            stdio: [self.null.as_fd(), self.streams[0].as_fd(), self.streams[1].as_fd()],
            filter: &self.filter,
            file_size: self.world.limits.file,
            memory: self.world.limits.memory,
        };
        self.world.number_next("root");
        let name = self.command.argv.first().map_or("", String::as_str);
        let started = crate::process::start_traced(&program).map_err(|error| TracedError::of(name, error))?;
        self.adopt(started.pid, "root".to_owned(), None, None);
        loop {
            match self.next_of(0)? {
                Came::Stop(Stop::Exec(_)) => break,
                Came::Stop(Stop::Ended(_)) => {
                    self.world.tasks[0].state = State::Gone;
                    let name = self.command.argv.first().map_or("", String::as_str);
                    return Err(TracedError::of(name, started.failure()));
                }
                _ => stops::resume(self.world.tid(0), 0).map_err(failed("resume"))?,
            }
        }
        drop(started);
        self.became(0);
        self.advance(0)?;
        self.settle()
    }

    /// Kills and reaps every task.
    pub(super) fn end_all(&mut self) -> Done {
        let alive: Vec<Pid> =
            self.world.tasks.iter().filter(|task| task.state != State::Gone).map(|task| task.tid).collect();
        for tid in &alive {
            crate::sys::ptrace::stops::kill(*tid);
        }
        loop {
            match stops::next(true) {
                Ok(Some((tid, Stop::Ended(_)))) => drop(self.world.by_tid.remove(&tid)),
                Ok(Some((tid, _))) => {
                    // A task that was made in the last moment.
                    stops::kill(tid);
                    let _ = stops::resume(tid, 0);
                }
                Ok(None) => {}
                Err(_) => break,
            }
        }
        self.world.tasks.clear();
        self.world.by_tid.clear();
        self.strangers.clear();
        Ok(())
    }

    pub(super) fn number(&mut self, name: &str) -> usize {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = self.names.len();
        self.names.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        number
    }

    /// The task with this number, in this execution.
    pub(super) fn by_number(&self, number: usize) -> Option<usize> {
        self.world.tasks.iter().position(|task| task.number == number)
    }

    fn adopt(&mut self, tid: Pid, name: String, maker: Option<usize>, thread_of: Option<usize>) -> usize {
        let index = self.world.tasks.len();
        let number = self.number(&name);
        let (clock, own) = maker.map_or((0, Default::default()), |maker| {
            if thread_of.is_none() {
                // From now on every description is shared with the child.
                self.world.process_mut(maker).own.clear();
            }
            (self.world.tasks[maker].clock, Default::default())
        });
        let state = if maker.is_none() { State::Running } else { State::Newborn(false) };
        self.world.tasks.push(Task {
            tid,
            name,
            number,
            maker,
            process: thread_of.unwrap_or(index),
            state,
            call: Call::default(),
            row: None,
            plan: None,
            announced: None,
            status: None,
            reaped: false,
            born: [0, 0],
            clock,
            used: 0,
            random: 0,
            own,
            locks: Default::default(),
            gives_up: None,
            maps: Vec::new(),
            shared_memories: 0,
            is_protected: false,
            protect_due: false,
            fault: None,
            narrowed: None,
            said: None,
            clears: None,
            is_ending: false,
            has_executed: false,
            enters_at: maker.map_or(0, |maker| self.world.tasks[maker].enters_at),
            signals: Vec::new(),
            on_the_way: Default::default(),
            is_held: false,
            elsewhere: maker.map_or_else(HashMap::new, |maker| self.world.process(maker).elsewhere.clone()),
            steps: 0,
            slept_at: None,
        });
        self.world.by_tid.insert(tid, index);
        self.created.push(index);
        index
    }

    /// Another program begins in the task: what would differ from execution to execution is hidden.
    fn became(&mut self, index: usize) {
        let task = &mut self.world.tasks[index];
        task.maps.clear();
        task.elsewhere.clear();
        (task.is_protected, task.protect_due, task.has_executed) = (false, false, true);
        let name = task.name.clone();
        let tid = self.world.tid(index);
        if super::program::hide_chance(tid, &name).is_err() {
            self.world.note("the addresses and random bytes that the kernel gives a program");
        }
        // Descriptors may have been closed by the exec.
        let fds = std::fs::read_dir(format!("/proc/{tid}/fd")).into_iter().flatten().filter_map(Result::ok);
        let open: Vec<i32> = fds.filter_map(|fd| fd.file_name().to_str()?.parse().ok()).collect();
        self.world.process_mut(index).own.retain(|fd| open.contains(fd));
    }

    /// Lets everyone go on who stands at no decision, one after another.
    pub(super) fn settle(&mut self) -> Done {
        while self.world.cut.is_none() {
            // What the kernel has done to others by now is there to be taken in.
            while let Some((tid, stop)) = stops::next(false).ok().flatten() {
                self.absorb(tid, stop)?;
            }
            self.await_woken()?;
            self.take_told()?;
            if self.handle_at_once()? {
                continue;
            }
            let next = self
                .world
                .tasks
                .iter()
                .position(|task| matches!(task.state, State::Newborn(true) | State::Returned));
            match next {
                Some(index) if self.world.tasks[index].state == State::Newborn(true) => {
                    if self.world.is_receiver(index) {
                        self.world.hold(index);
                    } else {
                        self.advance(index)?;
                    }
                }
                Some(index) => self.advance(index)?,
                None => {
                    let awaited =
                        self.world.tasks.iter().position(|task| task.state == State::Newborn(false));
                    match awaited {
                        // Its first stop is on its way.
                        Some(_) => {
                            if let Some((tid, stop)) = stops::next(true).map_err(failed("waitpid"))? {
                                self.absorb(tid, stop)?;
                            }
                        }
                        None => break,
                    }
                }
            }
        }
        // What a pending call would do may have changed.
        for index in 0..self.world.tasks.len() {
            self.plan_anew(index);
        }
        Ok(())
    }

    /// Asks once more what the call would do at whose entry the task is.
    pub(super) fn plan_anew(&mut self, index: usize) {
        let task = &self.world.tasks[index];
        let Some(row) = task.row.filter(|_| task.state == State::Entry) else { return };
        let plan = (row.plan)(&mut self.world, index);
        let plan = self.world.with_buffers(index, plan);
        let plan = self.world.with_signals(index, plan);
        // A step stays one while its task waits, even if nobody could see it any more.
        if plan.is_visible() || plan.act != Act::Pass {
            self.world.tasks[index].plan = Some(plan);
        }
    }

    /// Lets the task do the call at which it waits, and all others on to the next decision.
    ///
    /// `after_all`: it happens because nothing else can.
    pub(super) fn go(&mut self, index: usize, after_all: bool) -> Done<Effect> {
        self.created.clear();
        self.world.steps += 1;
        let task = &mut self.world.tasks[index];
        task.steps += 1;
        let announced = task.announced.take();
        let touches = task.plan.as_ref().map(|plan| plan.touches.clone()).unwrap_or_default();
        let is_access = self.world.tasks[index].fault.is_some();
        if !is_access {
            self.world.pass_time(index, &touches, after_all);
        }
        let touched =
            (!announced.is_some_and(|step| step.touches().eq(touches.iter().copied()))).then_some(touches);
        let mut effect = Effect { touched, ..Effect::default() };
        if self.world.steps > self.world.limits.steps {
            self.world.cut = Some(format!("more than {} steps", self.world.limits.steps));
            return Ok(effect);
        }
        let is_woken = self.world.tasks[index].state == State::Woken;
        let is_held = self.world.tasks[index].is_held;
        let row = self.world.tasks[index].row;
        let mut text = match row {
            _ if !is_held => words::before(&mut self.world, index),
            Some(row) => format!("returns from {}", row.name),
            None => "begins".to_owned(),
        };
        if self.is_interrupted(index) {
            text.push_str(" = ? (a signal)");
            self.interrupt(index)?;
            self.settle()?;
            effect.seen = text.into();
            effect.created = self.created.iter().map(|task| self.world.tasks[*task].number as u32).collect();
            return Ok(effect);
        }
        let went = match row.filter(|_| !is_woken) {
            Some(row) => {
                self.world.tasks[index].state = State::Running;
                self.carry_out(index, row)?
            }
            None => true,
        };
        if let Some(touches) = self.world.tasks[index].narrowed.take() {
            self.world.pass_time(index, &touches, after_all);
            effect.touched = Some(touches);
        }
        let mut observation = Observation::default();
        if went && is_held {
            self.advance(index)?;
        } else if went && self.world.tasks[index].is_alive() {
            words::after(&mut self.world, index, &mut text);
            if let Some(said) = self.world.tasks[index].said.take() {
                text = said;
            }
            // What a wait returns is a number that the kernel chose; the words name the child.
            let is_wait = row.is_some_and(|row| matches!(row.name, "wait" | "waitid"));
            if let Ok(registers) = Registers::of(self.world.tid(index))
                && !is_wait
                && !is_access
            {
                observation = Observation::new(registers.result().to_string());
            }
            if self.world.is_receiver(index) && !is_woken {
                self.world.hold(index);
            } else {
                self.advance(index)?;
            }
        }
        self.settle()?;
        effect.seen = Seen { text, observation };
        effect.created = self.created.iter().map(|task| self.world.tasks[*task].number as u32).collect();
        Ok(effect)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.end_all();
    }
}
