//! The stage of a free run: its supervisor, the listener for its events, and the record so far.

use super::record::{Detail, Event, Line, ProcessRecord, Proof, ProofRecord, Record, Summary};
use super::verdict::Verdict;
use crate::observe::notes::Fact;
use crate::process::{Child, Handle, JoinError, ResultError, ScratchError, StartError, chain};
use crate::supervisor::Supervisor;
use crate::sync::file_lock::FileLockError;
use crate::sys::poll::{Deadline, readable};
use crate::sys::signal::Interrupt;
use crate::wire::control::{self, Message};
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::fmt;
use std::io;
use std::os::fd::AsFd;

/// A run could not be completed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// A process could not be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A process could not be waited for.
    #[error(transparent)]
    Join(#[from] JoinError),
    /// A process gave no result.
    #[error(transparent)]
    Result(#[from] ResultError),
    /// There is no directory for the run.
    #[error(transparent)]
    Scratch(#[from] ScratchError),
    /// The file lock failed.
    #[error(transparent)]
    Lock(#[from] FileLockError),
    /// The queue failed.
    #[error("the queue failed")]
    Queue(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A process of the run failed.
    #[error("process `{name}` could not continue: {reason}")]
    Child {
        /// Its name.
        name: String,
        /// Why not.
        reason: Reason,
    },
    /// An expression has no value.
    #[error("`{expression}` cannot be evaluated: {reason}")]
    Expression {
        /// The expression.
        expression: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The user interrupted it.
    #[error("interrupted")]
    Interrupted,
    /// A system call failed.
    #[error("{operation} failed")]
    Os {
        /// The operation.
        operation: &'static str,
        /// The system's error.
        source: io::Error,
    },
}

impl RunError {
    /// For `map_err`: `operation` failed.
    pub fn os(operation: &'static str) -> impl FnOnce(io::Error) -> RunError {
        move |source| RunError::Os { operation, source }
    }

    /// For `map_err`: the queue failed.
    pub fn queue(error: impl std::error::Error + Send + Sync + 'static) -> RunError {
        RunError::Queue(Box::new(error))
    }

    /// Whether the user interrupted the run.
    pub fn is_interrupt(&self) -> bool {
        matches!(
            self,
            RunError::Interrupted
                | RunError::Join(JoinError::Interrupted)
                | RunError::Start(StartError::Interrupted { .. })
                | RunError::Result(ResultError::Join { source: JoinError::Interrupted, .. })
        )
    }
}

/// Why a process failed, as it reports to its parent: in words, and with the system's error number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The error and its sources, in one line.
    pub text: String,
    /// The system's error number, if there is one (`errno(3)`).
    pub errno: Option<i32>,
}

impl Reason {
    /// The reason that an error and its sources give.
    pub fn of(error: &(dyn Error + 'static)) -> Reason {
        let sources = std::iter::successors(Some(error), |&error| error.source());
        let errno = |error: &(dyn Error + 'static)| match error.downcast_ref::<RunError>() {
            Some(RunError::Child { reason, .. }) => reason.errno,
            _ => error.downcast_ref::<io::Error>()?.raw_os_error(),
        };
        Reason { text: chain(error), errno: sources.into_iter().find_map(errno) }
    }
}

impl From<String> for Reason {
    fn from(text: String) -> Reason {
        Reason { text, errno: None }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The result of a process that may report a failure.
///
/// # Errors
/// [`RunError::Child`] if it reported one, [`RunError::Result`] if it has no result.
pub fn result_of<T: Message + Send + 'static>(child: &Child<Result<T, Reason>>) -> Result<T, RunError> {
    child.result()?.map_err(|reason| RunError::Child { name: child.name().to_owned(), reason })
}

/// A supervisor, a listener for events, and the record so far.
pub struct Stage<'a> {
    /// The owner of the run's processes.
    pub supervisor: &'a Supervisor,
    interrupt: Interrupt,
    listener: &'a mut dyn FnMut(&Event),
    run: usize,
    /// The events so far.
    pub events: Vec<Event>,
    /// The processes so far.
    pub processes: Vec<ProcessRecord>,
}

impl fmt::Debug for Stage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stage").field("run", &self.run).finish_non_exhaustive()
    }
}

impl<'a> Stage<'a> {
    /// An empty stage; `listener` is called with every event as it happens.
    pub fn new(
        supervisor: &'a Supervisor,
        interrupt: Interrupt,
        listener: &'a mut dyn FnMut(&Event),
    ) -> Stage<'a> {
        Stage { supervisor, interrupt, listener, run: 0, events: Vec::new(), processes: Vec::new() }
    }

    /// A second supervisor, whose shutdown is part of a lesson; Ctrl-C interrupts its waits too.
    ///
    /// # Errors
    /// [`RunError::Os`] if no descriptor is left.
    pub fn another_supervisor(&self) -> Result<Supervisor, RunError> {
        Supervisor::with_interrupt(self.interrupt).map_err(RunError::os("epoll_create"))
    }

    /// Attributes all further events and processes to this run, counted from 0.
    pub fn begin_run(&mut self, run: usize) {
        self.run = run;
    }

    /// Records an event and passes it to the listener.
    pub fn tell(&mut self, mut event: Event) {
        event.run = self.run;
        (self.listener)(&event);
        self.events.push(event);
    }

    /// Records an event of this process.
    pub fn say(&mut self, what: &str, text: impl Into<String>) {
        let name = crate::process::current().name().to_owned();
        self.tell(Event::now(&name, what, text));
    }

    /// Records an event of this process with a fact for programs.
    pub fn say_fact(&mut self, what: &str, text: impl Into<String>, fact: Fact) {
        let name = crate::process::current().name().to_owned();
        self.tell(Event::now(&name, what, text).with_fact(fact));
    }

    /// Records the events received until no sender is left.
    ///
    /// # Errors
    /// [`RunError::Interrupted`].
    pub fn listen(&mut self, events: &control::Receiver<Event>) -> Result<(), RunError> {
        loop {
            match events.try_recv() {
                Ok(event) => self.tell(event),
                Err(control::TryRecvError::Empty) => {
                    self.await_readable(events, Deadline::NEVER).map(drop)?
                }
                // A sender killed in the middle of a long message would look like the end of all senders;
                // there are no long messages here.
                Err(_) => return Ok(()),
            }
        }
    }

    /// Waits until `source` is readable; `false` if the deadline passes first.
    ///
    /// # Errors
    /// [`RunError::Interrupted`].
    pub fn await_readable(&self, source: &impl AsFd, deadline: Deadline) -> Result<bool, RunError> {
        let ready =
            readable(&[source.as_fd(), self.interrupt.as_fd()], deadline).map_err(RunError::os("poll"))?;
        if ready[1] { Err(RunError::Interrupted) } else { Ok(ready[0]) }
    }

    /// Waits for one message from a process; `None` if it ended without sending one.
    ///
    /// # Errors
    /// [`RunError::Interrupted`].
    pub fn await_message<T: Message>(&self, messages: &control::Receiver<T>) -> Result<Option<T>, RunError> {
        self.await_readable(messages, Deadline::NEVER)?;
        Ok(messages.try_recv().ok())
    }

    /// Sleeps until the deadline.
    ///
    /// # Errors
    /// [`RunError::Interrupted`].
    pub fn pause(&self, deadline: Deadline) -> Result<(), RunError> {
        let ready = readable(&[self.interrupt.as_fd()], deadline).map_err(RunError::os("poll"))?;
        if ready[0] { Err(RunError::Interrupted) } else { Ok(()) }
    }

    /// The record of a lesson.
    pub fn prove(self, scenario: &str, parameters: serde_json::Value, proof: Proof) -> Record {
        Record {
            scenario: scenario.to_owned(),
            parameters,
            processes: self.processes,
            events: self.events,
            verdict: if proof.holds { Verdict::Ok } else { Verdict::Unproven },
            detail: Detail::of(&ProofRecord { proof: proof.clone() }),
            summary: Summary { table: None, lines: vec![Line::Proof(proof)] },
        }
    }

    /// Joins `children` and records them.
    ///
    /// # Errors
    /// [`RunError::Join`].
    pub fn join(&mut self, children: &[&Handle]) -> Result<(), RunError> {
        for child in children {
            child.join()?;
            self.processes.push(ProcessRecord::of(child, self.run));
        }
        Ok(())
    }
}
