//! The explorer of any program as a worker drives it: an engine at a time, and commands that are heard meanwhile.

mod explore;
mod schedule;

use std::io::{PipeWriter, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(super) use explore::work as explore;
pub(super) use schedule::work as schedule;

use super::update::WorkerError;
use crate::explore::traced::{self, Answer, EngineError, Failure, Progress, Task, carry_out};
use crate::process::Signal;
use crate::serve::protocol::Command;
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
    stop: Mutex<Option<Stop>>,
}

/// The word to stop, for an engine that then answers with what it knows.
struct Stop {
    pipe: PipeWriter,
    /// Any command is that word, for it asks for something else.
    by_any: bool,
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
        if let Some(stop) = &mut *locked(&self.stop)
            && (stop.by_any || matches!(command, Command::Stop))
        {
            let _ = stop.pipe.write_all(&[1]);
        }
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

    /// Carries out `task`; `None` once the page is gone. It is stopped by the command to stop, or by any command.
    fn carry_out(
        &self,
        command: &traced::Command,
        task: Task,
        by_any: bool,
        watch: &mut dyn FnMut(&Progress),
    ) -> Result<Option<Answer>, WorkerError> {
        let (stopped, pipe) = std::io::pipe()?;
        *locked(&self.state.stop) = Some(Stop { pipe, by_any });
        let start = |process| {
            let child = self.supervisor.start(process)?;
            *locked(&self.state.engine) = pidfd::open(child.pid()).ok();
            if self.is_gone() {
                self.state.kill();
            }
            Ok(child)
        };
        let answer = carry_out(start, command.clone(), task, Some(stopped.as_fd()), watch);
        *locked(&self.state.engine) = None;
        *locked(&self.state.stop) = None;
        match answer {
            _ if self.is_gone() => Ok(None),
            Ok(answer) => Ok(Some(answer)),
            Err(EngineError::Failed { why: Failure::NotAllowed, text }) => {
                Err(format!("{text}; tracing needs ptrace: allow it in the container, or set kernel.yama.ptrace_scope to 0 or 1").into())
            }
            Err(EngineError::Failed { why: Failure::TooLarge, text }) => {
                Err(format!("{text}; give the program's own folder: proclab serve --dir DIR -- …").into())
            }
            Err(error) => Err(error.into()),
        }
    }
}
