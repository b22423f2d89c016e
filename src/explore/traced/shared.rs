//! Shared memory, which is inaccessible until an access is granted.
//!
//! Threads share all of their memory. The variables of the executable are controlled, if they are small enough.
//!
//! Once a second process has a writable shared mapping, its pages are protected in every process that has it. Each load or
//! store then faults and waits as a step. To execute it, the page is made accessible for that one instruction. An access
//! costs about 0.1 ms. An access that does not change the memory counts as a read.

use nix::libc;

use super::plan::{Act, Plan};
use super::world::World;
use crate::explore::step::Access::{Add, Read, Write};
use crate::explore::step::{Access, Label, Touch};
use crate::sys::pid::Pid;
use crate::sys::procfs::maps;

/// The fact that processes share memory, so that calls that could move or unprotect it must stop.
pub(super) const SHARED: &str = "processes share memory";

/// Accesses to the same piece of this size, in bytes, depend on each other.
pub(super) const GRAIN: u64 = 8;
/// The size of a page, in bytes.
pub(super) const PAGE: u64 = 4096;

/// A writable shared mapping.
#[derive(Clone, Debug)]
pub(super) struct Map {
    pub(super) start: u64,
    pub(super) end: u64,
    /// The mapped object.
    pub(super) object: String,
    /// The offset in the object at which the mapping begins.
    pub(super) offset: u64,
    /// The mapped file, if it can be read without the mapping.
    pub(super) file: Option<String>,
    /// Whether only the threads of one process share it.
    pub(super) is_private: bool,
}

/// A file that a process has mapped and may change without a call.
#[derive(Clone, Debug)]
pub(super) struct WrittenMap {
    file: Label,
    map: String,
    process: usize,
    /// The number of tasks when it ended. Later tasks cannot observe it at work.
    others: Option<usize>,
}

/// The variables of the executable: its writable pages, and the anonymous pages directly after them.
fn variables(tid: Pid, object: &str) -> Vec<Map> {
    let Ok(program) = std::fs::read_link(format!("/proc/{tid}/exe")) else { return Vec::new() };
    let mut variables: Vec<Map> = Vec::new();
    for map in maps::of(tid) {
        let follows = map.path.is_empty() && variables.last().is_some_and(|last| last.end == map.start);
        if map.is_writable && !map.is_shared && (program.as_os_str() == map.path.as_str() || follows) {
            variables.push(Map {
                start: map.start,
                end: map.end,
                object: object.to_owned(),
                offset: map.start,
                file: None,
                is_private: true,
            });
        }
    }
    variables
}

/// The fact that accesses to this object are steps.
fn shared_fact(object: &str) -> String {
    format!("{object} is mapped by several processes")
}

impl World {
    /// The shared mapping that contains the address.
    pub(super) fn map_at(&self, task: usize, address: u64) -> Option<&Map> {
        self.process(task).maps.iter().find(|map| (map.start..map.end).contains(&address))
    }

    /// The object for the word at the address, which is the same in all processes that share it.
    pub(super) fn word_at(&self, task: usize, address: u64) -> Option<String> {
        let map = self.map_at(task, address)?;
        Some(format!("{}+{:#x}", map.object, (map.offset + address - map.start) / GRAIN * GRAIN))
    }

    /// The plan of a call, with the shared memory to which its arguments point.
    pub(super) fn with_buffers(&mut self, task: usize, mut plan: Plan) -> Plan {
        /// The longest buffer in shared memory whose words are distinguished.
        const MOST: u64 = 4096;
        if !self.process(task).is_protected && !self.process(task).protect_due {
            return plan;
        }
        let call = self.call(task);
        // The word of a futex is already an object.
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

    /// The plan of the memory access at which a task waits.
    pub(super) fn access(&self, task: usize, access: Access) -> Plan {
        let address = self.task(task).fault.unwrap_or(0);
        let Some(word) = self.word_at(task, address) else { return Plan::invisible() };
        let plan = Plan::of(word, access);
        match self.map_at(task, address).and_then(|map| map.file.as_ref()) {
            Some(file) => plan.and(format!("file {file}"), if access == Read { Read } else { Add }),
            None => plan,
        }
    }

    /// Records a new shared mapping. It is protected if another process maps the same object, now or in another
    /// execution.
    pub(super) fn mapped(&mut self, task: usize, map: Map) {
        let process = self.task(task).process;
        let mut is_shared = false;
        for other in &mut self.tasks {
            if other.maps.iter().any(|known| known.object == map.object) && other.is_alive() {
                other.protect_due = true;
                is_shared = true;
            }
        }
        let fact = shared_fact(&map.object);
        if is_shared {
            self.learn(fact.clone());
            self.learn(SHARED.to_owned());
        }
        if let Some(file) = &map.file {
            let file = Label::new(&format!("file {file}"));
            self.written_maps.push(WrittenMap { file, map: map.object.clone(), process, others: None });
        }
        self.tasks[process].maps.push(map);
        self.tasks[process].protect_due |= self.learned.contains(&fact) || self.tasks[process].is_protected;
    }

    /// Checks the accesses of a call against mappings: if another process accesses the same file through memory, its accesses
    /// must be steps.
    pub(super) fn meets_maps(&mut self, task: usize, touches: &[Touch]) {
        let process = self.task(task).process;
        for touch in touches {
            if touch.access != Read && self.mapped_files.contains(&touch.object) {
                self.note("a file of the folder that is read through a mapping, and changes");
            }
            let is_met = |known: &&WrittenMap| {
                known.file == touch.object
                    && known.process != process
                    && known.others.is_none_or(|others| process < others)
            };
            let facts: Vec<String> =
                self.written_maps.iter().filter(is_met).map(|known| shared_fact(&known.map)).collect();
            for fact in facts {
                self.learn(fact);
                self.learn(SHARED.to_owned());
            }
        }
    }

    /// Records that a process which may have mapped files has ended.
    pub(super) fn unmap_ended(&mut self, process: usize) {
        let others = self.tasks.len();
        for known in self.written_maps.iter_mut().filter(|known| known.process == process) {
            known.others.get_or_insert(others);
        }
    }

    /// Records that the process has a second thread, so that its variables are shared from now on. Heap, stacks and the
    /// variables of libraries are not controlled.
    pub(super) fn shares_variables(&mut self, process: usize) {
        /// The maximum size of the variables, each access to which is a step.
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

    /// Records the mappings of a new process, which it inherits from its maker.
    pub(super) fn inherited(&mut self, maker: usize, child: usize, same_memory: bool) {
        let maker = self.task(maker).process;
        if self.tasks[maker].maps.is_empty() {
            return;
        }
        self.tasks[child].maps = self.tasks[maker].maps.clone();
        if self.tasks[child].maps.iter().any(|map| !map.is_private) {
            self.learn(SHARED.to_owned());
        }
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
