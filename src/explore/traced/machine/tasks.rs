//! Tasks by number and by name: adopting new ones, and preparing those that have executed a program.

use std::cell::Cell;

use super::{Machine, Pid};
use crate::explore::traced::calls::shared_lock;
use crate::explore::traced::program;
use crate::explore::traced::table::DescriptorTable;
use crate::explore::traced::world::{Call, LockOwner, State, Task};

impl Machine {
    pub(in crate::explore::traced) fn number(&mut self, name: &str) -> usize {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = self.names.len();
        self.names.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        number
    }

    /// The index of the task with this number in this execution.
    pub(in crate::explore::traced) fn by_number(&self, number: usize) -> Option<usize> {
        // Tasks are mostly created in the order of their numbers.
        let tasks = &self.world.tasks;
        let is_meant = tasks.get(number).is_some_and(|task| task.number == number);
        if is_meant { Some(number) } else { tasks.iter().position(|task| task.number == number) }
    }

    pub(in crate::explore::traced) fn adopt(
        &mut self,
        tid: Pid,
        name: String,
        maker: Option<usize>,
        thread_of: Option<usize>,
    ) -> usize {
        let index = self.world.tasks.len();
        let number = self.number(&name);
        let (clock, own) = maker.map_or((0, Default::default()), |maker| {
            if thread_of.is_none() {
                // From now on, every description is shared with the child, and so are its locks.
                let process = self.world.process_mut(maker);
                process.own.clear();
                let inherited = process.locks.iter().filter(|(_, owner)| *owner == LockOwner::Description);
                let facts: Vec<String> = inherited.map(|(lock, _)| shared_lock(lock)).collect();
                facts.into_iter().for_each(|fact| self.world.learn(fact));
            }
            (self.world.tasks[maker].clock, Default::default())
        });
        let state = if maker.is_none() { State::Running } else { State::Newborn(false) };
        self.world.tasks.push(Task {
            tid,
            name,
            number,
            maker,
            process: thread_of.unwrap_or(index),
            state,
            call: Call::default(),
            row: None,
            plan: None,
            announced: None,
            status: None,
            reaped: false,
            born: [0, 0],
            clock,
            used: 0,
            random: 0,
            own,
            locks: Default::default(),
            gives_up: None,
            maps: Vec::new(),
            shared_memories: 0,
            is_protected: false,
            protect_due: false,
            fault: None,
            narrowed: None,
            said: None,
            clears: None,
            is_ending: false,
            has_executed: false,
            enters_at: maker.map_or(0, |maker| self.world.tasks[maker].enters_at),
            masks: Cell::default(),
            signals: Vec::new(),
            on_the_way: Default::default(),
            is_held: false,
            entered: None,
            is_interruptible: false,
            left: "begin",
            is_exposed: true,
            has_met: false,
            was_interrupted: false,
            has_ignored: false,
            has_left_group: maker.is_some_and(|maker| self.world.process(maker).has_left_group),
            enters_again: false,
            handler: None,
            is_watched: false,
            limit: None,
            sleeps_on: false,
            sleeps: false,
            catches_children: maker.is_some_and(|maker| self.world.process(maker).catches_children),
            sees_sender: maker.is_some_and(|maker| self.world.process(maker).sees_sender),
            descriptors: maker.map(|maker| self.world.process(maker).descriptors.clone()).unwrap_or_default(),
            steps: 0,
            slept_at: None,
        });
        self.world.by_tid.insert(tid, index);
        self.created.push(index);
        index
    }

    /// Prepares a task that has just executed another program: hides what would differ between executions.
    pub(in crate::explore::traced) fn became(&mut self, index: usize) {
        let task = &mut self.world.tasks[index];
        task.maps.clear();
        (task.is_protected, task.protect_due, task.has_executed) = (false, false, true);
        (task.handler, task.is_watched, task.catches_children) = (None, false, false);
        let name = task.name.clone();
        let tid = self.world.tid(index);
        match program::hide_chance(tid, &name) {
            Ok(base) => self.meet_loader(index, base),
            Err(_) => self.world.note("the addresses and random bytes that the kernel gives a program"),
        }
        // Descriptors may have been closed by the exec.
        let fds = std::fs::read_dir(format!("/proc/{tid}/fd")).into_iter().flatten().filter_map(Result::ok);
        let open: Vec<i32> = fds.filter_map(|fd| fd.file_name().to_str()?.parse().ok()).collect();
        let process = self.world.process_mut(index);
        process.own.retain(|fd| open.contains(fd));
        process.descriptors = DescriptorTable::default();
    }
}
