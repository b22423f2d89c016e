//! Arrivals of signals: their announcement, and how a process handles one where it waits.

use nix::libc;

use super::machine::{Done, Machine, failed};
use super::signals::{Disposition, Masks, Sent, arrival_of};
use super::waiting::Came;
use super::world::State;
use crate::explore::step::{Effect, Seen, Step};
use crate::sys::ptrace::arch::Registers;
use crate::sys::ptrace::stops::{self, SignalInfo, Stop};
use crate::sys::signal::signal_name;

impl Machine {
    /// Announces the arrival of each signal that has been sent.
    pub(super) fn announce_arrivals(&mut self) {
        self.arrivals.clear();
        for (process, signal) in self.world.arrivals() {
            let name = arrival_of(&self.world.tasks[process].name, signal);
            let number = self.number(&name);
            let plan = self.world.arriving(process, signal);
            let mut touches = plan.touches.into_iter();
            if let Some(first) = touches.next() {
                let step = Step::new(&signal_name(signal), first.object.as_str(), first.access);
                self.arrivals.insert(number, (process, signal, step.with(touches)));
            }
        }
    }

    /// Lets the signal arrive whose arrival is the task with this number.
    pub(super) fn arrive(&mut self, number: usize) -> Done<Effect> {
        self.created.clear();
        self.world.steps += 1;
        let Some((process, signal, step)) = self.arrivals.get(&number).cloned() else {
            return Ok(Effect::default());
        };
        if let Some(lines) = &mut self.lines {
            lines.push(None);
        }
        let touches: Vec<_> = step.touches().collect();
        self.world.pass_time(process, &touches, false);
        let from = self.world.tasks[process].on_the_way.get(&signal).map(|sent| sent.from.clone());
        let text = format!("{} from {}", signal_name(signal), from.unwrap_or_default());
        self.handle(process, signal)?;
        self.settle()?;
        let created = self.created.iter().map(|task| self.world.tasks[*task].number as u32).collect();
        Ok(Effect { seen: Seen { text, ..Seen::default() }, created, ..Effect::default() })
    }

    /// Handles signals that must be handled before anything else; returns whether there were any.
    pub(super) fn handle_at_once(&mut self) -> Done<bool> {
        let must = |process: &usize| self.world.handles_at_once(*process);
        let Some(process) = (0..self.world.tasks.len()).find(must) else { return Ok(false) };
        // The plan of the call may have changed.
        self.plan_anew(process);
        let task = &self.world.tasks[process];
        let would_sleep = task.state == State::Entry
            && !task.is_entering()
            && task.plan.as_ref().is_some_and(|plan| !plan.ready);
        // The lowest number first, as in the kernel.
        let first = task.on_the_way.keys().next().copied();
        match first {
            _ if would_sleep => self.interrupt(process)?,
            Some(signal) => self.handle(process, signal)?,
            None => {}
        }
        Ok(true)
    }

    /// Lets the process handle a signal and run to its next visible call.
    fn handle(&mut self, process: usize, signal: i32) -> Done {
        let tid = self.world.tid(process);
        let Some(sent) = self.world.tasks[process].on_the_way.remove(&signal) else { return Ok(()) };
        if self.world.masks(process).disposition(signal) == Disposition::Blocked {
            // The call in which it sleeps blocks the signal.
            stops::send(tid, signal);
            return Ok(());
        }
        let state = self.world.tasks[process].state;
        self.leave_entry(process)?;
        let is_held = self.world.tasks[process].is_held;
        self.world.tasks[process].was_interrupted |= state != State::Entry && !is_held;
        self.world.tasks[process].enters_again = state == State::Entry && self.world.is_simple(process);
        stops::send(tid, signal);
        if state != State::Asleep {
            stops::resume(tid, 0).map_err(failed("resume"))?;
        }
        self.deliver_sent(process, signal, &sent)
    }

    /// Interrupts a call that would sleep: it fails, or restarts after the handler, as the kernel decides.
    pub(super) fn interrupt(&mut self, process: usize) -> Done {
        let tid = self.world.tid(process);
        let Some((signal, sent)) = self.world.tasks[process].on_the_way.pop_first() else { return Ok(()) };
        self.world.tasks[process].was_interrupted = true;
        stops::send(tid, signal);
        stops::resume(tid, 0).map_err(failed("resume"))?;
        self.deliver_sent(process, signal, &sent)
    }

    /// Waits until the signal that was just sent is delivered, and runs the process to its next visible call.
    fn deliver_sent(&mut self, process: usize, signal: i32, sent: &Sent) -> Done {
        let tid = self.world.tid(process);
        loop {
            match self.next_of(process)? {
                Came::Stop(Stop::Signal(stopped)) if stopped == signal => {
                    let _ = sent.info.tell(tid);
                    self.world.tasks[process].signals.push(signal);
                    return self.advance(process);
                }
                Came::Stop(Stop::Signal(other)) => {
                    stops::resume(tid, other).map_err(failed("resume"))?;
                }
                Came::Stop(Stop::Ended(status)) => {
                    self.ended(process, status);
                    return Ok(());
                }
                Came::Stop(Stop::Ending(status)) => {
                    self.world.tasks[process].status = Some(status);
                    stops::resume(tid, 0).map_err(failed("resume"))?;
                }
                Came::Stop(_) => stops::resume(tid, 0).map_err(failed("resume"))?,
                Came::Asleep | Came::Spins => {
                    self.world.note("a signal that did not arrive");
                    return Ok(());
                }
            }
        }
    }

    /// Makes a task at the entry of a call enter the call again when it continues.
    fn leave_entry(&mut self, index: usize) -> Done {
        let task = &self.world.tasks[index];
        if task.state == State::Entry && task.fault.is_none() {
            let mut registers = Registers::of(task.tid).map_err(failed("registers"))?;
            let number = registers.number();
            registers.enter_again(number);
            registers.set(self.world.tid(index)).map_err(failed("registers"))?;
        }
        Ok(())
    }

    /// Discards pending signals that the task ignores, as the kernel does when they are sent, unless the process is traced. A
    /// pending signal interrupts calls: `getdents64(2)` returns after the first entry, `copy_file_range(2)` starts again.
    pub(super) fn discard_ignored(&mut self, index: usize) -> Done {
        let tid = self.world.tid(index);
        if !Masks::of(tid).are_all_ignored() {
            return Ok(());
        }
        self.leave_entry(index)?;
        loop {
            stops::resume(tid, 0).map_err(failed("resume"))?;
            match self.next_of(index)? {
                Came::Stop(Stop::Entry) | Came::Asleep | Came::Spins => return Ok(()),
                Came::Stop(Stop::Ended(status)) => {
                    self.ended(index, status);
                    return Ok(());
                }
                Came::Stop(_) => {}
            }
        }
    }

    /// Intercepts SIGCHLD, so that its arrival can be decided.
    pub(super) fn take_told(&mut self) -> Done {
        for (process, child) in std::mem::take(&mut self.world.told) {
            let (tid, state) = (self.world.tid(process), self.world.tasks[process].state);
            if !matches!(state, State::Entry | State::Woken) {
                // A sleeper is woken. A new task receives it when it first runs.
                continue;
            }
            let masks = Masks::of(tid);
            let bit = 1_u64 << (libc::SIGCHLD - 1);
            if masks.pending & !masks.blocked & bit == 0 {
                continue;
            }
            self.leave_entry(process)?;
            stops::resume(tid, 0).map_err(failed("resume"))?;
            loop {
                match self.next_of(process)? {
                    Came::Stop(Stop::Signal(libc::SIGCHLD)) => {
                        let info = SignalInfo::of(tid).map_err(failed("signal"))?;
                        let sent = Sent { info, from: child.clone() };
                        self.world.tasks[process].on_the_way.entry(libc::SIGCHLD).or_insert(sent);
                        if state == State::Entry && self.world.tasks[process].fault.is_none() {
                            stops::resume(tid, 0).map_err(failed("resume"))?;
                            continue;
                        }
                        break;
                    }
                    Came::Stop(Stop::Entry) => break,
                    Came::Stop(Stop::Ended(status)) => {
                        self.ended(process, status);
                        break;
                    }
                    Came::Stop(Stop::Signal(other)) => {
                        stops::resume(tid, other).map_err(failed("resume"))?;
                    }
                    Came::Stop(_) => stops::resume(tid, 0).map_err(failed("resume"))?,
                    Came::Asleep | Came::Spins => break,
                }
            }
        }
        Ok(())
    }
}
