//! Protection of shared memory: injected calls, faults, and the execution of single accesses.

use nix::libc;

use super::calls;
use super::machine::{Done, Machine, failed};
use super::shared::{GRAIN, PAGE};
use super::waiting::Came;
use super::world::State;
use crate::explore::step::Access::{Read, Write};
use crate::explore::step::Touch;
use crate::sys::ptrace::arch::Registers;
use crate::sys::ptrace::memory;
use crate::sys::ptrace::stops::{self, Stop};

impl Machine {
    /// Makes a stopped task execute a system call before it continues.
    pub(super) fn inject(&mut self, index: usize, number: i64, args: &[u64]) -> Done<i64> {
        let tid = self.world.tid(index);
        let saved = Registers::of(tid).map_err(failed("registers"))?;
        let mut registers = saved;
        registers.call(self.world.tasks[index].enters_at, number, args);
        registers.set(tid).map_err(failed("registers"))?;
        let mut is_inside = false;
        loop {
            stops::resume_to_exit(tid, 0).map_err(failed("resume"))?;
            match self.next_of(index)? {
                Came::Stop(Stop::Exit) if stops::is_at_entry(tid).map_err(failed("call"))? => {
                    is_inside = true
                }
                Came::Stop(Stop::Exit) if is_inside => {
                    let result = Registers::of(tid).map_err(failed("registers"))?.result();
                    saved.set(tid).map_err(failed("registers"))?;
                    return Ok(result);
                }
                Came::Stop(Stop::Ended(status)) => {
                    self.ended(index, status);
                    return Ok(-i64::from(libc::ESRCH));
                }
                Came::Stop(Stop::Ending(status)) => self.world.tasks[index].status = Some(status),
                Came::Stop(Stop::Signal(signal)) => self.world.tasks[index].signals.push(signal),
                Came::Stop(_) => {}
                Came::Asleep | Came::Spins => return Ok(-i64::from(libc::EINTR)),
            }
        }
    }

    /// Protects a range of shared memory, or makes it accessible.
    fn protect(&mut self, index: usize, start: u64, length: u64, on: bool) -> Done {
        let protection = if on { libc::PROT_NONE } else { libc::PROT_READ | libc::PROT_WRITE };
        let result = self.inject(index, libc::SYS_mprotect, &[start, length, protection as u64])?;
        if result < 0 && on {
            self.world.note("memory that processes share, which could not be protected");
        }
        Ok(())
    }

    /// Protects all shared memory of the process, or makes it accessible.
    pub(super) fn protect_all(&mut self, index: usize, on: bool) -> Done {
        let process = self.world.task(index).process;
        self.world.tasks[process].protect_due = false;
        for map in self.world.tasks[process].maps.clone() {
            self.protect(index, map.start, map.end - map.start, on)?;
        }
        self.world.tasks[process].is_protected = on;
        Ok(())
    }

    /// Whether the task faulted at an access to protected memory, at which it then waits.
    pub(super) fn faulted(&mut self, index: usize) -> Done<bool> {
        let Some(address) = stops::fault_address(self.world.tid(index)).map_err(failed("signal"))? else {
            return Ok(false);
        };
        if !self.world.process(index).is_protected || self.world.map_at(index, address).is_none() {
            return Ok(false);
        }
        let task = &mut self.world.tasks[index];
        task.fault = Some(address);
        task.row = Some(calls::ACCESS);
        task.state = State::Entry;
        self.world.tasks[index].plan = Some(self.world.access(index, Write));
        Ok(true)
    }

    /// Executes the access at which the task waits.
    pub(super) fn access(&mut self, index: usize) -> Done<bool> {
        let tid = self.world.tid(index);
        let Some(address) = self.world.tasks[index].fault else { return Ok(true) };
        let word = |tid| memory::array::<8>(tid, address / GRAIN * GRAIN).map_or(0, u64::from_ne_bytes);
        let page = address / PAGE * PAGE;
        self.protect(index, page, PAGE, false)?;
        let before = word(tid);
        let mut is_all_open = false;
        loop {
            stops::step(tid).map_err(failed("step"))?;
            match self.next_of(index)? {
                Came::Stop(Stop::Signal(libc::SIGTRAP)) => break,
                Came::Stop(Stop::Signal(libc::SIGSEGV)) if !is_all_open => {
                    // An instruction may access two pages.
                    self.protect_all(index, false)?;
                    is_all_open = true;
                }
                Came::Stop(Stop::Signal(signal)) => {
                    self.world.tasks[index].signals.push(signal);
                    if matches!(signal, libc::SIGSEGV | libc::SIGBUS) {
                        break;
                    }
                }
                Came::Stop(Stop::Ended(status)) => {
                    self.ended(index, status);
                    return Ok(false);
                }
                Came::Stop(_) => {}
                Came::Asleep | Came::Spins => break,
            }
        }
        let after = word(tid);
        if is_all_open {
            self.protect_all(index, true)?;
        } else {
            self.protect(index, page, PAGE, true)?;
        }
        let half = address / 4 % 2 * 32;
        let [old, new] = [before, after].map(|word| (word >> half) as u32);
        let (access, said) = if before == after {
            (Read, format!("reads {old}"))
        } else {
            (Write, format!("writes {new} over {old}"))
        };
        let mut touches: Vec<Touch> = self.world.access(index, access).touches;
        // That it depends on the arrival of signals is no part of the access.
        let planned = self.world.tasks[index].plan.as_ref().map_or(&[][..], |plan| &plan.touches);
        let others = planned.iter().filter(|touch| touches.iter().all(|own| own.object != touch.object));
        let others: Vec<Touch> = others.copied().collect();
        touches.extend(others);
        let what = touches.first().map_or("memory", |touch| touch.object.as_str());
        let task = &mut self.world.tasks[index];
        task.said = Some(format!("{said} in {what}"));
        task.narrowed = Some(touches);
        task.fault = None;
        Ok(true)
    }

    /// Makes shared memory accessible if the pending call takes it as an argument; returns whether it does.
    pub(super) fn open_for_call(&mut self, index: usize) -> Done<bool> {
        if !self.world.process(index).is_protected {
            return Ok(false);
        }
        let args = self.world.call(index).args;
        let is_meant = args.iter().any(|arg| self.world.map_at(index, *arg).is_some());
        let ends = matches!(self.world.call(index).number, libc::SYS_exit | libc::SYS_exit_group);
        let changes_robust = ends && !calls::robust_words(&self.world, index).is_empty();
        if !is_meant && !changes_robust {
            return Ok(false);
        }
        self.open_at_entry(index)?;
        Ok(true)
    }

    /// Makes shared memory accessible that the kernel will change when the process is killed.
    pub(super) fn open_for_end(&mut self, index: usize) -> Done {
        let is_due =
            self.world.process(index).is_protected && !calls::robust_words(&self.world, index).is_empty();
        match self.world.task(index).state {
            _ if !is_due => Ok(()),
            State::Entry if self.world.task(index).fault.is_none() => self.open_at_entry(index),
            State::Asleep => {
                self.world.note("a lock in shared memory whose holder was killed while it slept");
                Ok(())
            }
            _ => self.protect_all(index, false),
        }
    }

    /// Makes all shared memory of a process at the entry of a call accessible.
    fn open_at_entry(&mut self, index: usize) -> Done {
        let tid = self.world.tid(index);
        let saved = Registers::of(tid).map_err(failed("registers"))?;
        let process = self.world.task(index).process;
        // The task leaves the call, executes the injected calls, and enters the call again.
        let mut registers = saved;
        registers.enter_again(saved.number());
        registers.set(tid).map_err(failed("registers"))?;
        self.protect_all(index, false)?;
        self.world.tasks[process].is_protected = false;
        stops::resume(tid, 0).map_err(failed("resume"))?;
        loop {
            match self.next_of(index)? {
                Came::Stop(Stop::Entry) => return Ok(()),
                Came::Stop(Stop::Ended(status)) => {
                    self.ended(index, status);
                    return Ok(());
                }
                Came::Stop(Stop::Signal(signal)) => {
                    self.world.tasks[index].signals.push(signal);
                    stops::resume(tid, 0).map_err(failed("resume"))?;
                }
                Came::Stop(_) => stops::resume(tid, 0).map_err(failed("resume"))?,
                Came::Asleep | Came::Spins => return Ok(()),
            }
        }
    }
}
