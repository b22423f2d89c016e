//! Waits for the running task, and records what others report in the meantime.

use crate::sys::pid::Pid;
use std::time::Duration;

use nix::libc;

use super::machine::{Done, Machine, failed};
use super::plan::Act;
use super::signals::Masks;
use super::world::State;
use crate::sys::procfs::syscall;
use crate::sys::ptrace::arch::Registers;
use crate::sys::ptrace::stops::{self, Stop};

/// How often a call that may sleep is polled before it is left to the watchdog.
const EAGER_LOOKS: u32 = 200;

/// `ERESTARTNOINTR` of the kernel: the call restarts, whatever signal has interrupted it.
const RESTARTS_ALWAYS: i64 = -513;

/// The result of waiting for a task.
pub(super) enum Came {
    Stop(Stop),
    /// It sleeps in the kernel.
    Asleep,
    /// It uses the processor without making a call.
    Spins,
}

impl Machine {
    /// Waits for the next stop of one task, and records what others report in the meantime.
    pub(super) fn next_of(&mut self, index: usize) -> Done<Came> {
        let tid = self.world.tid(index);
        let may_sleep = self.world.tasks[index].plan.as_ref().is_some_and(|plan| plan.act == Act::MaySleep);
        // Asked for only once the task has not stopped for a while: reading it costs more than most waits.
        let mut began = None;
        let (mut looks, mut asleep) = (0, 0);
        loop {
            if let Some(at) = self.strangers.iter().position(|(stranger, _)| *stranger == tid) {
                return Ok(Came::Stop(self.strangers.remove(at).expect("found just now").1));
            }
            self.look_at_the_clock();
            if self.patience.is_over() {
                return Ok(Came::Spins);
            }
            // A call that may sleep is polled at once; any other when the watchdog's signal interrupts the wait.
            let is_patient = !may_sleep || looks > EAGER_LOOKS;
            match stops::next(is_patient).map_err(failed("waitpid"))? {
                Some((stopped, stop)) if stopped == tid => return Ok(Came::Stop(stop)),
                Some((other, stop)) => self.absorb(other, stop)?,
                None => {
                    // It was asleep twice and did not stop in between. All others are stopped, so none can wake it.
                    if asleep >= 2 {
                        return Ok(Came::Asleep);
                    }
                    looks += 1;
                    if !is_patient {
                        std::thread::yield_now();
                    }
                    asleep = if is_asleep(tid) { asleep + 1 } else { 0 };
                    if is_patient {
                        let used = processor_time(tid);
                        let used = used.saturating_sub(*began.get_or_insert(used));
                        if used > Duration::from_secs(self.world.limits.spin_seconds) {
                            return Ok(Came::Spins);
                        }
                    }
                }
            }
        }
    }

    /// Cuts the execution short if its time is over.
    pub(super) fn look_at_the_clock(&mut self) {
        if self.patience.is_over() {
            self.world.cut.get_or_insert_with(|| "there was no time left".to_owned());
        }
    }

    /// Records a stop of a task that is not the running one.
    pub(super) fn absorb(&mut self, tid: Pid, stop: Stop) -> Done {
        let Some(index) = self.world.by_tid.get(&tid).copied() else {
            if !matches!(stop, Stop::Ended(_)) {
                self.strangers.push_back((tid, stop));
            }
            return Ok(());
        };
        match stop {
            Stop::Exit => self.returned(index)?,
            Stop::VforkDone => {
                // The step that let it continue comes before all that it does from now on, as if it had created it.
                self.created.push(index);
                stops::resume_to_exit(tid, 0).map_err(failed("resume"))?;
            }
            Stop::Ending(_) => stops::resume(tid, 0).map_err(failed("resume"))?,
            Stop::Ended(status) => self.ended(index, status),
            Stop::Group(_) if self.world.tasks[index].state == State::Newborn(false) => {
                self.world.tasks[index].state = State::Newborn(true);
            }
            Stop::Group(signal) if is_job_control(signal) => {
                self.world.note("a process that a signal stopped");
                self.world.tasks[index].state = State::Stopped;
                stops::listen(tid).map_err(failed("listen"))?;
            }
            Stop::Group(_) => {
                if self.world.tasks[index].state == State::Stopped {
                    self.world.tasks[index].state = State::Returned;
                }
            }
            Stop::Signal(signal) => {
                let task = &mut self.world.tasks[index];
                task.signals.push(signal);
                task.was_interrupted = true;
                task.state = State::Returned;
            }
            Stop::Entry | Stop::Born { .. } | Stop::Exec(_) => {
                if self.world.tasks[index].state == State::Asleep {
                    // It slept in a call whose return is not observed, one that is not controlled, and is at its next.
                    self.world.tasks[index].state = State::Woken;
                }
                self.strangers.push_back((tid, stop));
            }
        }
        Ok(())
    }

    /// Waits until tasks that have been woken have stopped, so that all of them are known before the next decision.
    pub(super) fn await_woken(&mut self) -> Done {
        let sleepers: Vec<usize> = (0..self.world.tasks.len())
            .filter(|task| self.world.tasks[*task].state == State::Asleep)
            .collect();
        for index in sleepers {
            while self.world.tasks[index].state == State::Asleep && !is_asleep(self.world.tid(index)) {
                self.look_at_the_clock();
                if self.world.cut.is_some() {
                    return Ok(());
                }
                if let Some((tid, stop)) = stops::next(true).map_err(failed("waitpid"))? {
                    self.absorb(tid, stop)?;
                }
            }
        }
        self.await_ended()
    }

    /// Waits for the threads of ended processes, and for parents whose `vfork` child has ended or executed another program.
    fn await_ended(&mut self) -> Done {
        /// The maximum number of waits, so that a process that does not end after all blocks nothing.
        const MOST: u32 = 1_000;
        for _ in 0..MOST {
            let thaws = |index: usize| {
                let is_child = |task: &&super::world::Task| {
                    task.maker == Some(index) && task.process != self.world.task(index).process
                };
                let has_let_go = |child: &super::world::Task| child.has_executed || !child.is_alive();
                self.world.task(index).state == State::Frozen
                    && self.world.tasks.iter().rev().find(is_child).is_some_and(has_let_go)
            };
            let is_alone = |index: usize| {
                self.world.tasks[index].process == index && self.world.threads(index).count() == 1
            };
            let ends = |index: &usize| {
                let is_ending = self.world.tasks[*index].is_alive() && self.world.process(*index).is_ending;
                is_ending && !is_alone(*index)
            };
            if !(0..self.world.tasks.len()).any(|index| ends(&index) || thaws(index)) {
                break;
            }
            if let Some((tid, stop)) = stops::next(true).map_err(failed("waitpid"))? {
                self.absorb(tid, stop)?;
            }
        }
        Ok(())
    }

    /// Whether the pending call would sleep and a signal that has been sent interrupts it.
    pub(super) fn is_interrupted(&self, index: usize) -> bool {
        let task = &self.world.tasks[index];
        task.state == State::Entry
            && !task.on_the_way.is_empty()
            && task.plan.as_ref().is_some_and(|plan| !plan.ready)
    }

    /// Handles the return of a call in which a task slept or was frozen.
    pub(super) fn returned(&mut self, index: usize) -> Done {
        self.restore_limit(index)?;
        let tid = self.world.tid(index);
        let result = Registers::of(tid).map_err(failed("registers"))?.result();
        // An interrupted call restarts, or fails with EINTR, after the delivery.
        let is_broken = (-516..=-512).contains(&result);
        let state = self.world.tasks[index].state;
        let is_cut = is_broken || result == -i64::from(libc::EINTR);
        if state == State::Asleep && is_cut && Masks::of(tid).are_all_ignored() {
            // Once no other task runs.
            self.world.tasks[index].sleeps_on = true;
            self.world.tasks[index].state = State::Returned;
            return Ok(());
        }
        if !is_broken && let Some(after) = self.world.tasks[index].row.and_then(|row| row.after) {
            after(&mut self.world, index, result);
        }
        let woken = state == State::Asleep && !is_broken;
        self.world.tasks[index].was_interrupted |= is_broken;
        if !woken && !is_broken && self.world.holds_at_return(index) {
            self.world.hold(index);
            return Ok(());
        }
        self.world.tasks[index].state = if woken { State::Woken } else { State::Returned };
        Ok(())
    }

    /// Lets a task sleep on whose call was interrupted by a signal that it ignores: that happens to a traced process only,
    /// so it is no step.
    pub(super) fn sleep_on(&mut self, index: usize) -> Done {
        let tid = self.world.tid(index);
        self.world.tasks[index].state = State::Asleep;
        let mut registers = Registers::of(tid).map_err(failed("registers"))?;
        registers.set_result(RESTARTS_ALWAYS);
        registers.set(tid).map_err(failed("registers"))?;
        loop {
            stops::resume(tid, 0).map_err(failed("resume"))?;
            match self.next_of(index)? {
                Came::Stop(Stop::Entry) => break,
                Came::Stop(Stop::Ended(status)) => {
                    self.ended(index, status);
                    return Ok(());
                }
                Came::Stop(_) => {}
                Came::Asleep | Came::Spins => return Ok(()),
            }
        }
        self.hide_limit(index)?;
        stops::resume_to_exit(tid, 0).map_err(failed("resume"))
    }

    pub(super) fn ended(&mut self, index: usize, status: i32) {
        let tid = self.world.tid(index);
        let is_process = self.world.tasks[index].process == index;
        let parent = self.world.tasks[index].maker.map(|maker| self.world.tasks[maker].process);
        let waited_for = parent.is_some_and(|parent| self.world.tasks[parent].is_alive());
        let is_zombie = is_process
            && waited_for
            && self.world.tasks[index].state != State::Zombie
            && std::path::Path::new(&format!("/proc/{tid}")).exists();
        let task = &mut self.world.tasks[index];
        task.status.get_or_insert(status);
        task.on_the_way.clear();
        task.state = if is_zombie { State::Zombie } else { State::Gone };
        if !is_zombie {
            self.world.by_tid.remove(&tid);
        }
        if let Some(parent) = parent.filter(|_| is_process) {
            self.world.told_of_child(parent, index);
        }
        if is_process {
            self.world.unmap_ended(index);
            // Its zombie children are now the tracer's, which is told of each of them again.
            for child in self.world.children(index).collect::<Vec<_>>() {
                if self.world.tasks[child].state == State::Zombie {
                    self.world.tasks[child].state = State::Gone;
                }
            }
        }
    }
}

pub(super) fn is_job_control(signal: i32) -> bool {
    matches!(signal, libc::SIGSTOP | libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU)
}

/// Whether the task sleeps in a call.
fn is_asleep(tid: Pid) -> bool {
    let pid = tid;
    crate::sys::procfs::stat::of_thread(pid, pid).is_some_and(|stat| stat.letter == 'S')
        && syscall::current(pid, pid).is_some()
}

fn processor_time(tid: Pid) -> Duration {
    let pid = tid;
    crate::sys::procfs::stat::schedstat(pid, pid)
        .map_or(Duration::ZERO, |stat| Duration::from_nanos(stat.running_ns))
}
