//! Memory that processes or threads share, under control: it is not accessible until an access is granted.
//!
//! Threads share all of their memory. Of it the variables of the program itself are under control, if they are few.
//!
//! Once a second process has a shared mapping that can be written, its pages are protected in every process
//! that has it. A load or a store then faults, and waits there as a step; to carry it out, the page is opened
//! for that one instruction. Each access costs about 0.1 ms. An access that leaves the memory as it was counts
//! as one that reads.

use nix::libc;

use super::calls;
use super::machine::{Done, Machine, failed};
use super::plan::{Act, Plan};
use super::waiting::Came;
use super::world::{State, World};
use crate::explore::step::Access::{Add, Read, Write};
use crate::explore::step::{Access, Touch};
use crate::sys::pid::Pid;
use crate::sys::ptrace::arch::Registers;
use crate::sys::ptrace::memory;
use crate::sys::ptrace::stops::{self, Stop};

/// Accesses within one such piece of memory depend on each other.
const GRAIN: u64 = 8;
const PAGE: u64 = 4096;

/// A shared mapping that can be written.
#[derive(Clone, Debug)]
pub(super) struct Map {
    pub(super) start: u64,
    pub(super) end: u64,
    /// What is mapped.
    pub(super) object: String,
    /// Where in it the mapping begins.
    pub(super) offset: u64,
    /// The name of the file whose content it is, if that can be read without the mapping.
    pub(super) file: Option<String>,
    /// Only the threads of one process share it.
    pub(super) is_private: bool,
}

/// Where the program's executable keeps its variables: its writable pages, and those after them without a file.
fn variables(tid: Pid, object: &str) -> Vec<Map> {
    let Ok(program) = std::fs::read_link(format!("/proc/{tid}/exe")) else { return Vec::new() };
    let mut maps: Vec<Map> = Vec::new();
    for line in std::fs::read_to_string(format!("/proc/{tid}/maps")).unwrap_or_default().lines() {
        let mut fields = line.split_ascii_whitespace();
        let (Some(range), Some(mode)) = (fields.next(), fields.next()) else { continue };
        let path = fields.nth(3).unwrap_or_default();
        let bound = |text: &str| u64::from_str_radix(text, 16).ok();
        let Some((start, end)) = range.split_once('-').and_then(|(a, b)| Some((bound(a)?, bound(b)?))) else {
            continue;
        };
        let follows = path.is_empty() && maps.last().is_some_and(|last| last.end == start);
        if mode == "rw-p" && (program.as_os_str() == path || follows) {
            maps.push(Map {
                start,
                end,
                object: object.to_owned(),
                offset: start,
                file: None,
                is_private: true,
            });
        }
    }
    maps
}

impl World {
    /// The shared mapping in which the address lies.
    pub(super) fn map_at(&self, task: usize, address: u64) -> Option<&Map> {
        self.process(task).maps.iter().find(|map| (map.start..map.end).contains(&address))
    }

    /// The object that the word at the address is, the same in all processes that share it.
    pub(super) fn word_at(&self, task: usize, address: u64) -> Option<String> {
        let map = self.map_at(task, address)?;
        Some(format!("{}+{:#x}", map.object, (map.offset + address - map.start) / GRAIN * GRAIN))
    }

    /// The plan of a call, with the shared memory that its arguments point to.
    pub(super) fn with_buffers(&mut self, task: usize, mut plan: Plan) -> Plan {
        /// The most bytes of a buffer in shared memory whose words are told apart.
        const MOST: u64 = 4096;
        if !self.process(task).is_protected && !self.process(task).protect_due {
            return plan;
        }
        let call = self.call(task);
        // A futex's word is an object already.
        if matches!(call.number, libc::SYS_futex | libc::SYS_mmap) {
            return plan;
        }
        for (at, arg) in call.args.iter().enumerate() {
            if self.map_at(task, *arg).is_none() {
                continue;
            }
            let length = call.args.get(at + 1).copied().unwrap_or(GRAIN).clamp(1, MOST + 1);
            if length > MOST || matches!(plan.act, Act::Skip(_)) {
                self.note("a call whose buffer lies in memory that processes share");
            }
            for address in (arg / GRAIN * GRAIN..arg.saturating_add(length)).step_by(GRAIN as usize) {
                if let Some(word) = self.word_at(task, address) {
                    plan = plan.and(word, Write);
                }
            }
        }
        plan
    }

    /// What an access to memory at which a task waits touches.
    pub(super) fn access(&self, task: usize, access: Access) -> Plan {
        let address = self.task(task).fault.unwrap_or(0);
        let Some(word) = self.word_at(task, address) else { return Plan::invisible() };
        let plan = Plan::of(word, access);
        match self.map_at(task, address).and_then(|map| map.file.as_ref()) {
            Some(file) => plan.and(format!("file {file}"), if access == Read { Read } else { Add }),
            None => plan,
        }
    }

    /// A process has mapped shared memory. If another has the same, or has had it in another execution, it is
    /// protected from now on.
    pub(super) fn mapped(&mut self, task: usize, map: Map) {
        let process = self.task(task).process;
        let mut is_shared = false;
        for other in &mut self.tasks {
            if other.maps.iter().any(|known| known.object == map.object) && other.is_alive() {
                other.protect_due = true;
                is_shared = true;
            }
        }
        let fact = format!("{} is mapped by several processes", map.object);
        if is_shared {
            self.learn(fact.clone());
        }
        self.tasks[process].maps.push(map);
        self.tasks[process].protect_due |= self.learned.contains(&fact) || self.tasks[process].is_protected;
    }

    /// The process has a second thread: what the program's own variables hold is shared from now on. Its heap, its
    /// stacks and the variables of libraries are not under control.
    pub(super) fn shares_variables(&mut self, process: usize) {
        /// The most bytes of variables; the access to each of them is a step.
        const MOST: u64 = 64 << 10;
        if self.tasks[process].maps.iter().any(|map| map.is_private) {
            return;
        }
        let (tid, name) = (self.tid(process), self.tasks[process].name.clone());
        let maps = variables(tid, &format!("variables of {name}"));
        if maps.is_empty() || maps.iter().map(|map| map.end - map.start).sum::<u64>() > MOST {
            self.note("memory that threads share: its loads and stores are no steps");
            return;
        }
        self.note("memory that threads share, except the program's own variables");
        self.tasks[process].maps.extend(maps);
        self.tasks[process].protect_due = true;
    }

    /// A process was made that has the memory of its maker, and shares what is mapped as shared.
    pub(super) fn inherited(&mut self, maker: usize, child: usize, same_memory: bool) {
        let maker = self.task(maker).process;
        if self.tasks[maker].maps.is_empty() {
            return;
        }
        self.tasks[child].maps = self.tasks[maker].maps.clone();
        if !same_memory {
            let name = format!("variables of {}", self.tasks[child].name);
            for map in self.tasks[child].maps.iter_mut().filter(|map| map.is_private) {
                map.object.clone_from(&name);
            }
        }
        if same_memory {
            self.tasks[child].is_protected = self.tasks[maker].is_protected;
            return;
        }
        self.tasks[child].is_protected = self.tasks[maker].is_protected;
        for process in [maker, child] {
            self.tasks[process].protect_due = !self.tasks[process].is_protected;
        }
    }
}

impl Machine {
    /// A task that stands where it would return to its program carries out another call before.
    pub(super) fn inject(&mut self, index: usize, number: i64, args: [u64; 3]) -> Done<i64> {
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

    /// Protects a range of shared memory, or opens it.
    fn protect(&mut self, index: usize, start: u64, length: u64, on: bool) -> Done {
        let protection = if on { libc::PROT_NONE } else { libc::PROT_READ | libc::PROT_WRITE };
        let result = self.inject(index, libc::SYS_mprotect, [start, length, protection as u64])?;
        if result < 0 && on {
            self.world.note("memory that processes share, which could not be protected");
        }
        Ok(())
    }

    /// Protects, or opens, all that the process shares.
    pub(super) fn protect_all(&mut self, index: usize, on: bool) -> Done {
        let process = self.world.task(index).process;
        self.world.tasks[process].protect_due = false;
        for map in self.world.tasks[process].maps.clone() {
            self.protect(index, map.start, map.end - map.start, on)?;
        }
        self.world.tasks[process].is_protected = on;
        Ok(())
    }

    /// Whether the task faulted because it accesses protected memory: it waits there then.
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

    /// Carries out the access at which the task waits.
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
                    // One instruction may access two pages.
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
        let touches: Vec<Touch> = self.world.access(index, access).touches;
        let what = touches.first().map_or("memory", |touch| touch.object.as_str());
        let task = &mut self.world.tasks[index];
        task.said = Some(format!("{said} in {what}"));
        task.narrowed = Some(touches);
        task.fault = None;
        Ok(true)
    }

    /// Opens the shared memory that the call at whose entry the task is takes as an argument; whether there is
    /// such.
    pub(super) fn open_for_call(&mut self, index: usize) -> Done<bool> {
        if !self.world.process(index).is_protected {
            return Ok(false);
        }
        let args = self.world.call(index).args;
        let is_meant = args.iter().any(|arg| self.world.map_at(index, *arg).is_some());
        if !is_meant {
            return Ok(false);
        }
        let tid = self.world.tid(index);
        let saved = Registers::of(tid).map_err(failed("registers"))?;
        let process = self.world.task(index).process;
        // The call is left, the others are carried out, and it is entered again.
        let mut registers = saved;
        registers.enter_again(saved.number());
        registers.set(tid).map_err(failed("registers"))?;
        self.protect_all(index, false)?;
        self.world.tasks[process].is_protected = false;
        stops::resume(tid, 0).map_err(failed("resume"))?;
        loop {
            match self.next_of(index)? {
                Came::Stop(Stop::Entry) => return Ok(true),
                Came::Stop(Stop::Ended(status)) => {
                    self.ended(index, status);
                    return Ok(true);
                }
                Came::Stop(Stop::Signal(signal)) => {
                    self.world.tasks[index].signals.push(signal);
                    stops::resume(tid, 0).map_err(failed("resume"))?;
                }
                Came::Stop(_) => stops::resume(tid, 0).map_err(failed("resume"))?,
                Came::Asleep | Came::Spins => return Ok(true),
            }
        }
    }
}
