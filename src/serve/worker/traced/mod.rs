//! The explorer of any program as a worker drives it: an engine at a time, and commands that are heard meanwhile.

mod explore;
mod graph;
mod schedule;

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(super) use explore::work as explore;
pub(super) use schedule::work as schedule;

use super::update::WorkerError;
use crate::explore::traced::{self, Answer, EngineError, Failure, Progress, Task, carry_out};
use crate::process::Signal;
use crate::serve::protocol::{Command, Refusal};
use crate::supervisor::Supervisor;
use crate::sys::pidfd;
use crate::sys::poll::{Deadline, readable};
use crate::sys::signal::Interrupt;
use crate::wire::control::Receiver;

/// Carries out tasks on one command.
struct Engine {
    supervisor: Supervisor,
    heard: mpsc::Receiver<Command>,
    state: Arc<State>,
}

/// What the thread that hears commands shares with the one that waits for the engine.
#[derive(Default)]
struct State {
    /// The page or the server is gone, or this process has to end.
    is_gone: AtomicBool,
    engine: Mutex<Option<OwnedFd>>,
    requests: Mutex<Option<Requests>>,
}

/// What the commands that come while the engine works ask of it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// The command to stop ends its work, and it answers with what it knows.
    Stops,
    /// Any command does, for it asks for something else.
    Yields,
    /// The command to stop lets it rest, and the command to finish ends its work.
    Rests,
}

/// How the engine is asked.
struct Requests {
    manner: Manner,
    stop: PipeWriter,
    gate: Gate,
}

/// A pipe that is readable while the engine may work.
struct Gate {
    reader: PipeReader,
    writer: PipeWriter,
    is_open: bool,
}

impl Gate {
    fn new() -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        let mut gate = Self { reader, writer, is_open: false };
        gate.open()?;
        Ok(gate)
    }

    fn open(&mut self) -> io::Result<()> {
        if !std::mem::replace(&mut self.is_open, true) {
            self.writer.write_all(&[1])?;
        }
        Ok(())
    }

    fn shut(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.is_open, false) {
            // The byte is there: the engine looks at the pipe, and does not read it.
            self.reader.read_exact(&mut [0])?;
        }
        Ok(())
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn leave(&self) {
        self.is_gone.store(true, Ordering::Release);
        self.kill();
    }

    /// Kills the engine, which ends what it traces. Its result is taken only after this, so the descriptor is its own.
    fn kill(&self) {
        if let Some(engine) = &*locked(&self.engine) {
            let _ = pidfd::send_signal(engine.as_fd(), Signal::KILL.0);
        }
    }

    fn hear(&self, command: &Command) {
        let mut requests = locked(&self.requests);
        let Some(Requests { manner, stop, gate }) = &mut *requests else { return };
        // An engine that is gone is seen by its end.
        let _ = match (manner, command) {
            (Manner::Yields, _) | (Manner::Stops, Command::Stop) | (Manner::Rests, Command::Finish) => {
                stop.write_all(&[1])
            }
            (Manner::Rests, Command::Stop) => gate.shut(),
            (Manner::Rests, Command::Resume) => gate.open(),
            _ => Ok(()),
        };
    }
}

impl Engine {
    /// Begins to hear commands.
    fn new(commands: Receiver<Command>) -> Result<Self, WorkerError> {
        let interrupt = Interrupt::install()?;
        let supervisor = Supervisor::with_interrupt(interrupt)?;
        let state = Arc::new(State::default());
        let (tell, heard) = mpsc::channel();
        let shared = Arc::clone(&state);
        std::thread::Builder::new().spawn(move || {
            loop {
                let ready = readable(&[commands.as_fd(), interrupt.as_fd()], Deadline::NEVER);
                let command = match ready {
                    Ok(ready) if !ready[1] => commands.recv().ok(),
                    _ => None,
                };
                // Reported before it is heard by the engine: an engine that stops finds out why.
                match command.filter(|command| tell.send(command.clone()).is_ok()) {
                    Some(command) => shared.hear(&command),
                    None => return shared.leave(),
                }
            }
        })?;
        Ok(Self { supervisor, heard, state })
    }

    /// The next command; an error once the page is gone.
    fn next(&self) -> Result<Command, RecvError> {
        self.heard.recv()
    }

    fn is_gone(&self) -> bool {
        self.state.is_gone.load(Ordering::Acquire)
    }

    /// A command that has come, if there is one.
    fn heard(&self) -> Option<Command> {
        self.heard.try_recv().ok()
    }

    /// Carries out `task`; `None` once the page is gone.
    fn carry_out(
        &self,
        command: &traced::Command,
        task: Task,
        manner: Manner,
        watch: &mut dyn FnMut(&Progress),
    ) -> Result<Option<Answer>, WorkerError> {
        let (stopped, pipe) = std::io::pipe()?;
        let gate = Gate::new()?;
        let may_work = gate.reader.try_clone()?;
        *locked(&self.state.requests) = Some(Requests { manner, stop: pipe, gate });
        let start = |process| {
            let child = self.supervisor.start(process)?;
            *locked(&self.state.engine) = pidfd::open(child.pid()).ok();
            if self.is_gone() {
                self.state.kill();
            }
            Ok(child)
        };
        let requests = (Some(stopped.as_fd()), Some(may_work.as_fd()));
        let answer = carry_out(start, command.clone(), task, requests.0, requests.1, watch);
        *locked(&self.state.engine) = None;
        *locked(&self.state.requests) = None;
        match answer {
            _ if self.is_gone() => Ok(None),
            Ok(answer) => Ok(Some(answer)),
            Err(EngineError::Failed { why: Failure::NotAllowed, text }) => {
                Err(Refusal::TracingRefused { why: text }.into())
            }
            Err(EngineError::Failed { why: Failure::TooLarge, text }) => {
                Err(Refusal::FolderTooLarge { why: text }.into())
            }
            Err(error) => Err(error.into()),
        }
    }
}
