//! Drives a process instruction by instruction, and kills it at a chosen point.
//!
//! A first victim is forked, stopped just before the operation, and driven one machine instruction at a time
//! (`PTRACE_SINGLESTEP`, `ptrace(2)`) while the addresses are recorded. Then, for every k, another victim runs until it
//! is about to execute the k-th of them (a breakpoint register stops it), and gets SIGKILL. Exceptions:
//! - the kernel's own instructions: a system call is one step. If one sleeps, a victim is also killed asleep, and the
//!   others are woken and continue;
//! - for an instruction that is executed repeatedly, as in a loop that copies or waits, all rounds between the first
//!   [`ROUNDS`] and the last one.

use super::forked::{LONG, child, state};
use nix::libc::user;
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill, raise};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::collections::HashMap;
use std::mem::offset_of;
use std::time::{Duration, Instant};

/// A system call that takes longer than this, in a process whose state is *sleeping*, sleeps.
const ASLEEP: Duration = Duration::from_millis(3);
/// The number of victims sent to a kill point before it counts as missed.
pub(crate) const TRIES: usize = 4;
/// How many rounds of a repeated instruction are kill points.
pub(crate) const ROUNDS: usize = 12;

/// Where a victim is killed.
#[derive(Debug)]
pub(crate) enum Aim {
    /// Just before it executes the instruction at this address for the Nth time.
    Before { at: u64, round: usize },
    /// When it first sleeps in the kernel.
    Asleep,
}

/// The statistics of a case.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// The number of instructions of the operation.
    pub(crate) instructions: usize,
    /// The number of instructions before which a victim was killed.
    pub(crate) points: usize,
    /// How many victims were killed asleep in the kernel.
    pub(crate) asleep: usize,
    /// How many victims' operations took effect.
    pub(crate) effective: usize,
    /// How many instructions were left out because they repeat earlier ones.
    pub(crate) repetitions: usize,
    /// How many victims took another path and never reached their kill point.
    pub(crate) missed: usize,
}

/// Every `stride`-th kill point of a path, starting with the first.
pub(crate) fn aims(way: &[u64], stride: usize, tally: &mut Tally) -> Vec<Aim> {
    let mut rounds: HashMap<u64, usize> = HashMap::new();
    let mut left: HashMap<u64, usize> = HashMap::new();
    way.iter().for_each(|at| *left.entry(*at).or_default() += 1);
    let mut aims = vec![Aim::Asleep];
    for (k, at) in way.iter().enumerate() {
        let round = rounds.entry(*at).or_default();
        *round += 1;
        if *round > ROUNDS && *round != left[at] {
            tally.repetitions += 1;
        } else if k.is_multiple_of(stride) {
            aims.push(Aim::Before { at: *at, round: *round });
        }
    }
    tally.instructions = way.len();
    aims
}

/// A forked process that is stopped just before its operation.
pub(crate) struct Victim {
    pub(crate) pid: Pid,
    /// Whether it had finished the operation before it was killed.
    pub(crate) came_through: bool,
}

/// What a victim did after it was resumed.
enum Stop {
    /// It has made its step, or reached the breakpoint.
    Trap,
    /// It has finished its operation.
    Over,
    /// It sleeps in the kernel.
    Asleep,
}

enum How {
    Step,
    Run,
}

impl Victim {
    /// Forks it. `body` calls its argument when it is ready, and the operation is everything from there to its end.
    pub(crate) fn start(body: impl FnOnce(&dyn Fn())) -> Self {
        let stop = || raise(Signal::SIGSTOP).expect("a process may stop itself");
        let pid = child(|| {
            ptrace::traceme().expect("a parent may trace its child");
            body(&stop);
            stop();
        });
        match waitpid(pid, None) {
            Ok(WaitStatus::Stopped(_, Signal::SIGSTOP)) => {}
            other => panic!("the victim did not get to its operation: {other:?}"),
        }
        Victim { pid, came_through: false }
    }

    /// Drives it to its end, and returns the instructions that it executed. `wake` does what it waits for when it sleeps.
    pub(crate) fn trace(&mut self, wake: &mut dyn FnMut() -> Result<(), String>) -> Result<Vec<u64>, String> {
        let mut way = Vec::new();
        loop {
            way.push(program_counter(self.pid)?);
            match self.go(How::Step, wake)? {
                Stop::Trap => {}
                Stop::Asleep => return Err(SLEEPS_ON.to_owned()),
                Stop::Over => break,
            }
        }
        self.came_through = true;
        Ok(way)
    }

    /// Drives it to its kill point.
    pub(crate) fn drive(
        &mut self,
        aim: &Aim,
        wake: &mut dyn FnMut() -> Result<(), String>,
    ) -> Result<(), String> {
        match *aim {
            Aim::Asleep => {
                ptrace::cont(self.pid, None).map_err(|error| error.to_string())?;
                self.came_through = matches!(self.next_stop(ASLEEP)?, Stop::Over);
            }
            Aim::Before { at, mut round } => {
                // It is already before its first instruction, where a breakpoint would not stop it.
                round -= usize::from(program_counter(self.pid)? == at);
                set_breakpoint(self.pid, at)?;
                while round > 0 && !self.came_through {
                    match self.go(How::Run, wake)? {
                        Stop::Trap => round -= 1,
                        Stop::Over => self.came_through = true,
                        Stop::Asleep => return Err(SLEEPS_ON.to_owned()),
                    }
                }
            }
        }
        Ok(())
    }

    /// Resumes it, and wakes it if it sleeps.
    fn go(&self, how: How, wake: &mut dyn FnMut() -> Result<(), String>) -> Result<Stop, String> {
        match how {
            How::Step => ptrace::step(self.pid, None),
            How::Run => ptrace::cont(self.pid, None),
        }
        .map_err(|error| format!("the victim cannot be driven: {error}"))?;
        match self.next_stop(ASLEEP)? {
            Stop::Asleep => {
                wake()?;
                self.next_stop(LONG)
            }
            stop => Ok(stop),
        }
    }

    /// Waits until it is stopped or asleep.
    fn next_stop(&self, patience: Duration) -> Result<Stop, String> {
        let begin = Instant::now();
        loop {
            match waitpid(self.pid, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Stopped(_, Signal::SIGTRAP)) => return Ok(Stop::Trap),
                Ok(WaitStatus::Stopped(_, Signal::SIGSTOP)) => return Ok(Stop::Over),
                Ok(WaitStatus::StillAlive) => {}
                other => return Err(format!("the victim came to {other:?}")),
            }
            let waited = begin.elapsed();
            if waited > patience && state(self.pid) == Some('S') {
                return Ok(Stop::Asleep);
            }
            if waited > LONG {
                return Err("the victim neither stands still nor sleeps".to_owned());
            }
        }
    }

    /// Kills it.
    pub(crate) fn kill(&self) -> Result<(), String> {
        kill(self.pid, Signal::SIGKILL).map_err(|error| error.to_string())?;
        match waitpid(self.pid, None) {
            Ok(WaitStatus::Signaled(_, Signal::SIGKILL, _)) => Ok(()),
            other => Err(format!("the victim ended otherwise: {other:?}")),
        }
    }
}

const SLEEPS_ON: &str = "the victim sleeps though it has been woken";

fn program_counter(victim: Pid) -> Result<u64, String> {
    ptrace::getregs(victim).map(|registers| registers.rip).map_err(|error| error.to_string())
}

/// Stops the victim before it executes the instruction at `at` (debug registers 0 and 7 of x86-64).
fn set_breakpoint(victim: Pid, at: u64) -> Result<(), String> {
    let register = |number: usize| (offset_of!(user, u_debugreg) + 8 * number) as ptrace::AddressType;
    ptrace::write_user(victim, register(0), at.cast_signed())
        .and_then(|()| ptrace::write_user(victim, register(7), 1))
        .map_err(|error| format!("the processor has no breakpoints: {error}"))
}
