//! The beginning and the end of an execution.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::os::fd::AsFd;

use super::{Done, Machine, Pid, TracedError, failed};
use crate::explore::traced::calls;
use crate::explore::traced::objects::Objects;
use crate::explore::traced::scratch;
use crate::explore::traced::waiting::Came;
use crate::explore::traced::world::State;
use crate::sys::ptrace::namespace::{self, SHARED_MEMORY};
use crate::sys::ptrace::start::Program;
use crate::sys::ptrace::stops::{self, Stop};

impl Machine {
    /// Ends the previous execution and begins another: runs every task to its first visible call.
    pub(in crate::explore::traced) fn begin(&mut self) -> Done {
        let is_due = self.is_checkpoint_due();
        self.end_all()?;
        let kept = self.kept_executable();
        scratch::write_tree(&self.world.root, &self.template, kept.as_deref())?;
        self.ranks.apply(&self.world.root);
        if self.world.numbers.is_some() {
            scratch::clear_beside(&self.world.root, SHARED_MEMORY.as_ref());
        }
        self.reset();
        if is_due {
            self.take_checkpoint()?;
        }
        if !self.begin_as_copy()? {
            self.world.number_next("root");
            if !self.start()? {
                return Ok(());
            }
        }
        self.advance(0)?;
        self.settle()
    }

    /// Forgets the previous execution.
    pub(in crate::explore::traced) fn reset(&mut self) {
        self.world.objects = Objects::default();
        self.world.output.clear();
        self.world.times.clear();
        self.world.made.clear();
        self.world.killed.clear();
        self.world.mapped_files.clear();
        self.world.written_maps.clear();
        self.world.given_times.clear();
        self.world.uncontrolled.clear();
        (self.world.steps, self.world.written, self.world.cut) = (0, 0, None);
        self.world.told.clear();
        self.world.kept = None;
        self.arrivals.clear();
        self.created.clear();
        self.checkpoints.end_steps();
    }

    /// Starts the program, and stops it before its first instruction; returns whether there was time left for it.
    pub(in crate::explore::traced) fn start(&mut self) -> Done<bool> {
        let needs = |fact: &str| self.world.learned.contains(fact);
        let (network, ipc) = (needs(calls::NETWORK), needs(calls::IPC));
        if (network || ipc) && namespace::renew(network, ipc).is_err() {
            self.world.note("the network or the System V IPC of this machine, which other programs use");
        }
        let filter = calls::filter(&self.world.learned, self.silent_loader());
        let directory = CString::new(self.world.root.as_os_str().as_encoded_bytes()).unwrap_or_default();
        let program = Program {
            path: &self.image.path,
            arguments: &self.image.arguments,
            environment: &self.image.environment,
            directory: &directory,
            stdio: [self.null.as_fd(), self.streams[0].as_fd(), self.streams[1].as_fd()],
            filter: &filter,
            file_size: self.world.limits.file,
            memory: self.world.limits.memory,
        };
        let name = self.command.argv.first().map_or("", String::as_str);
        let started = crate::process::start_traced(&program)
            .map_err(|error| TracedError::of(&self.world.root, name, error))?;
        self.adopt(started.pid, "root".to_owned(), None, None);
        loop {
            match self.next_of(0)? {
                Came::Stop(Stop::Exec(_)) => break,
                // There is no time left.
                Came::Spins => return Ok(false),
                Came::Stop(Stop::Ended(_)) => {
                    self.world.tasks[0].state = State::Gone;
                    let name = self.command.argv.first().map_or("", String::as_str);
                    return Err(TracedError::of(&self.world.root, name, started.failure()));
                }
                _ => stops::resume(self.world.tid(0), 0).map_err(failed("resume"))?,
            }
        }
        drop(started);
        self.became(0);
        Ok(true)
    }

    /// Kills and reaps every task, but not the template of a checkpoint.
    pub(in crate::explore::traced) fn end_all(&mut self) -> Done {
        let is_running = |state| matches!(state, State::Running | State::Newborn(_) | State::Returned);
        let is_cut = self.world.cut.is_some() || !self.strangers.is_empty();
        if is_cut || self.world.tasks.iter().any(|task| is_running(task.state)) {
            // A task may have created another at the last moment, so everything that is traced must end.
            self.checkpoints.discard();
        }
        let alive = self.world.tasks.iter().filter(|task| task.is_alive()).map(|task| task.tid);
        let mut alive: BTreeSet<Pid> = alive.collect();
        for tid in &alive {
            stops::kill(*tid);
        }
        for dying in self.world.tasks.iter().filter(|task| task.is_dying()) {
            // It does not wake for a further signal.
            let _ = stops::resume(dying.tid, 0);
        }
        for (stranger, _) in self.strangers.drain(..) {
            stops::kill(stranger);
            let _ = stops::resume(stranger, 0);
        }
        loop {
            // Zombies of ended processes are reaped without waiting: they have ended before.
            let is_over = alive.is_empty() && self.checkpoints.is_taken();
            match stops::next(!is_over) {
                Ok(Some((tid, Stop::Ended(_)))) => drop(alive.remove(&tid)),
                Ok(Some((tid, _))) => {
                    // A task that was created at the last moment.
                    stops::kill(tid);
                    let _ = stops::resume(tid, 0);
                }
                Ok(None) if is_over => break,
                Ok(None) => {}
                Err(_) => break,
            }
        }
        self.world.tasks.clear();
        self.world.by_tid.clear();
        Ok(())
    }
}
