//! The moment at which a signal arrives is a decision.
//!
//! The effect of a signal depends on the point at which it reaches its process, so each call of a *receiver* is two
//! steps: the call and its return. Between them the process is held, and a signal that arrives there is handled before
//! the program continues. A signal that arrives before a call is handled before it, as a step of its own, or after it, if
//! the process had already entered the call.
//!
//! Most programs send no signals that matter, and a search without these steps is much shorter. So a first search treats
//! each signal as arriving when its process next continues. If that could make a difference, a second search follows in
//! which arrivals are decisions.

use std::collections::BTreeMap;

use nix::libc;

use super::calls;
use super::handlers::depends_on_itself;
use super::plan::{Act, Plan};
use super::world::{State, Task, World};
use crate::explore::step::Access::{self, Add, Await, Read, Write};
use crate::sys::pid::Pid;
use crate::sys::ptrace::stops::{self, SignalInfo};
use crate::sys::signal::signal_name;

/// The fact that signals are decisions.
pub(super) const DECIDED: &str = "signals";

/// The fact that this process receives signals.
pub(super) fn receives(name: &str) -> String {
    format!("{name} receives signals")
}

/// The fact that handlers of this process make system calls, so that more than its memory matters to them.
pub(super) fn handlers_call(name: &str) -> String {
    format!("handlers of {name}{MAKE_CALLS}")
}

const MAKE_CALLS: &str = " make calls";

/// The fact that a signal may end this process, so that each of its steps may not happen.
fn may_be_ended(name: &str) -> String {
    format!("a signal may end {name}")
}

/// The fact that another process sends this one signals, besides the kernel when a child ends.
pub(super) fn is_sent(name: &str) -> String {
    format!("{name}{SENT}")
}

const SENT: &str = " is sent signals";

/// Whether it matters when a process changes its handlers for other signals than `SIGCHLD`: some are sent, or one handler may
/// change another.
pub(super) fn makes_handlers_matter(fact: &str) -> bool {
    fact.ends_with(SENT) || makes_calls(fact)
}

/// The fact that the end of one child may interrupt a call of this process that the end of another completes.
fn may_be_interrupted(name: &str) -> String {
    format!("{name} makes calls that signals interrupt")
}

/// The fact that this process accesses what its handlers share with it after a call, before its next step.
fn accesses_after(name: &str, call: &str) -> String {
    format!("{name} accesses what its handlers share after {call}")
}

/// Whether this is that fact of some process.
pub(super) fn makes_calls(fact: &str) -> bool {
    fact.ends_with(MAKE_CALLS)
}

/// The object that a signal to this process changes, and on which all its steps depend.
pub(super) fn signals_of(name: &str) -> String {
    format!("signals {name}")
}

/// The name of the task that represents the arrival of a signal.
pub(super) fn arrival_of(name: &str, signal: i32) -> String {
    format!("{name}@{}", signal_name(signal))
}

/// The receiver of a signal, if this is the name of its arrival.
pub(super) fn receiver_of(task: &str) -> Option<&str> {
    task.split_once('@').map(|(receiver, _)| receiver)
}

/// A signal that has been sent and not arrived.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) info: SignalInfo,
    /// The sender, or the child that ended.
    pub(super) from: String,
}

/// Signals that have been sent to a process and not arrived, by number; two of the same number are one.
pub(super) type OnTheWay = BTreeMap<i32, Sent>;

/// The effect of a signal that arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disposition {
    /// It remains pending until it is unblocked.
    Blocked,
    /// A handler runs.
    Caught,
    /// None.
    Ignored,
    /// The process ends.
    Fatal,
    /// The process stops or continues.
    JobControl,
}

/// The signal masks of a task, from `/proc/PID/status`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Masks {
    pub(super) pending: u64,
    pub(super) blocked: u64,
    caught: u64,
    ignored: u64,
}

impl Masks {
    pub(super) fn of(tid: Pid) -> Self {
        let mut masks = Self::default();
        for line in crate::sys::procfs::short_text(format!("/proc/{tid}/status")).unwrap_or_default().lines()
        {
            let Some((key, value)) = line.split_once(':') else { continue };
            let value = || u64::from_str_radix(value.trim(), 16).unwrap_or(0);
            match key {
                "SigPnd" | "ShdPnd" => masks.pending |= value(),
                "SigBlk" => masks.blocked = value(),
                "SigIgn" => masks.ignored = value(),
                "SigCgt" => masks.caught = value(),
                _ => {}
            }
        }
        masks
    }

    /// Whether some signal has a handler and is not blocked.
    pub(super) fn lets_a_handler_run(&self) -> bool {
        self.caught & !self.blocked != 0
    }

    /// Whether signals are pending and not blocked, all of which are ignored.
    pub(super) fn are_all_ignored(&self) -> bool {
        let arriving = self.pending & !self.blocked;
        let mut signals = (1..=64).filter(|signal| arriving & (1_u64 << (signal - 1)) != 0);
        arriving != 0 && signals.all(|signal| self.disposition(signal) == Disposition::Ignored)
    }

    /// Whether `signal` is ignored by request (`SIG_IGN`), and not by default.
    pub(super) fn ignores(&self, signal: i32) -> bool {
        self.ignored & (1_u64 << (signal - 1).clamp(0, 63)) != 0
    }

    /// The effect of `signal`.
    pub(super) fn disposition(&self, signal: i32) -> Disposition {
        let bit = 1_u64 << (signal - 1).clamp(0, 63);
        match signal {
            libc::SIGKILL => Disposition::Fatal,
            libc::SIGSTOP | libc::SIGCONT => Disposition::JobControl,
            _ if self.blocked & bit != 0 => Disposition::Blocked,
            _ if self.caught & bit != 0 => Disposition::Caught,
            _ if self.ignored & bit != 0 => Disposition::Ignored,
            libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU => Disposition::JobControl,
            libc::SIGCHLD | libc::SIGURG | libc::SIGWINCH => Disposition::Ignored,
            _ => Disposition::Fatal,
        }
    }
}

impl World {
    /// The signal masks of a task, which do not change while it is stopped. Signals may become pending meanwhile.
    pub(super) fn masks(&self, task: usize) -> Masks {
        let tid = self.tid(task);
        if self.threads(self.task(task).process).nth(1).is_some() {
            // Another thread may change the handlers.
            return Masks::of(tid);
        }
        let turn = stops::turn(tid);
        let known = self.task(task).masks.get().filter(|(since, _)| *since == turn);
        let (_, masks) = known.unwrap_or_else(|| (turn, Masks::of(tid)));
        self.task(task).masks.set(Some((turn, masks)));
        masks
    }

    /// Whether signals are decisions in this search.
    pub(super) fn decides_signals(&self) -> bool {
        self.learned.contains(DECIDED)
    }

    /// Whether each step of the task depends on the arrival of signals.
    pub(super) fn is_receiver(&self, task: usize) -> bool {
        self.decides_signals() && self.learned.contains(&receives(&self.process(task).name))
    }

    /// Records that the moment of a signal to the process matters, or could matter in another schedule.
    pub(super) fn received(&mut self, process: usize) {
        let fact = receives(&self.task(process).name);
        if self.decides_signals() {
            self.learn(fact);
        } else {
            self.candidates.insert(fact);
            self.note("the moment at which a signal arrives");
        }
    }

    /// Whether handlers of the process only access a few words of its memory: they make no calls, and no signal ends it. They
    /// do not read what they change, so that two signals that become one are no different from two.
    ///
    /// Then a signal commutes with each call that neither accesses these words nor sleeps, and is handled as soon as it is
    /// sent. The order of the sender and the receiver's accesses to the words includes every moment of its arrival.
    pub(super) fn is_simple(&self, task: usize) -> bool {
        let name = &self.process(task).name;
        let facts = [handlers_call(name), may_be_ended(name), depends_on_itself(name)];
        !facts.iter().any(|fact| self.learned.contains(fact))
    }

    /// Whether a signal could reach the process from here on, in some schedule that began as this one: that of a child for
    /// which it has not waited, or one that a process is known to send. A child that has ended counts, because it could have
    /// ended later.
    pub(super) fn may_be_signalled(&self, task: usize) -> bool {
        let process = self.task(task).process;
        let is_own = |(index, child): (usize, &Task)| {
            let is_made = || child.maker.is_some_and(|maker| self.task(maker).process == process);
            child.process == index && !child.reaped && is_made()
        };
        !self.task(process).on_the_way.is_empty()
            || self.tasks.iter().enumerate().any(is_own)
            || self.learned.contains(&is_sent(&self.task(process).name))
    }

    /// Whether a receiver is held when its call returns, because its handlers could interrupt what follows.
    pub(super) fn holds_at_return(&self, task: usize) -> bool {
        let process = self.process(task);
        self.is_receiver(task)
            && self.may_be_signalled(task)
            && (!self.is_simple(task)
                || !process.on_the_way.is_empty()
                || self.learned.contains(&accesses_after(&process.name, self.task(task).left)))
    }

    /// Records that the task accesses words that it shares with its handlers, or makes a call that depends on them. If it has
    /// not been held since its last call, it will be.
    pub(super) fn meets_handlers(&mut self, task: usize) {
        self.tasks[task].has_met = true;
        if std::mem::take(&mut self.tasks[task].is_exposed) {
            let fact = accesses_after(&self.process(task).name, self.task(task).left);
            self.learn(fact);
        }
    }

    /// As [`World::with_signals`], for a process with simple handlers.
    fn with_simple_handlers(&mut self, task: usize, plan: Plan) -> Plan {
        let number = self.call(task).number;
        let sleeps = calls::is_sleep(number);
        // Each signal comes from a child whose end the call returns.
        let is_ended_by_all =
            calls::waits_for_all(self, task) && !self.learned.contains(&is_sent(&self.process(task).name));
        let is_interruptible = !is_ended_by_all
            && (sleeps
                || plan.act == Act::MaySleep
                || number == libc::SYS_flock
                || plan.touches.iter().any(|touch| touch.access.may_wait()));
        let is_fork = self.task(task).row.is_some_and(calls::is_fork);
        let is_met = is_interruptible
            || is_fork
            || calls::changes_handling(number)
            || matches!(number, libc::SYS_execve | libc::SYS_execveat)
            || self.shares_buffer_with_handlers(task);
        if !is_met {
            return plan;
        }
        let masks = self.masks(task);
        if masks.caught == 0 && !calls::changes_handling(number) {
            return plan;
        }
        if masks.blocked != 0 {
            // A signal is handled before it was blocked, or later.
            self.meets_handlers(task);
        }
        let mut plan = plan;
        if sleeps && !plan.is_visible() {
            // It ends at any time, or is interrupted by a signal that has been sent.
            let is_left_alone = self.process(task).on_the_way.is_empty();
            self.tasks[task].sleeps = true;
            plan = plan.when(is_left_alone);
        }
        self.tasks[task].is_interruptible = is_interruptible && masks.lets_a_handler_run();
        plan.and(signals_of(&self.process(task).name), Read)
    }

    /// How the signal that tells of the end of a child conflicts with other steps. Two ends commute if the handler cannot see
    /// which child it was, and neither interrupts a call.
    pub(super) fn telling_of_child(&self, parent: usize) -> Access {
        let process = self.process(parent);
        let is_blind = self.is_simple(parent)
            && !process.sees_sender
            && !self.learned.contains(&may_be_interrupted(&process.name));
        if is_blind { Add } else { Write }
    }

    /// Holds a receiver before a call that a signal could interrupt: one that is sent before is handled before the call.
    pub(super) fn hold_before(&mut self, task: usize) {
        if self.tasks[task].is_interruptible && self.is_receiver(task) && self.is_simple(task) {
            let name = self.process(task).name.clone();
            self.learn(may_be_interrupted(&name));
            let before = Plan::of(signals_of(&name), Await);
            let task = &mut self.tasks[task];
            task.entered = task.plan.replace(before);
        }
    }

    /// Whether a signal that has been sent to the process must be handled before the next decision.
    pub(super) fn handles_at_once(&self, process: usize) -> bool {
        let task = self.task(process);
        if task.on_the_way.is_empty() {
            return false;
        }
        match task.state {
            State::Woken | State::Asleep => true,
            State::Entry if !self.decides_signals() => true,
            // A call that could be interrupted may be about to return instead.
            State::Entry if self.is_simple(process) => {
                let is_ready = task.plan.as_ref().is_none_or(|plan| plan.ready);
                task.is_entering() || !task.is_interruptible || !is_ready
            }
            _ => false,
        }
    }

    /// The plan of a call of a receiver, which depends on the arrival of signals.
    pub(super) fn with_signals(&mut self, task: usize, mut plan: Plan) -> Plan {
        self.tasks[task].is_interruptible = false;
        let is_fork = self.task(task).row.is_some_and(calls::is_fork);
        if !self.is_receiver(task) || !self.may_be_signalled(task) && !is_fork {
            return plan;
        }
        // A signal that has been sent arrives after the call at the latest.
        let process = self.task(task).process;
        for signal in self.tasks[process].on_the_way.keys().copied().collect::<Vec<_>>() {
            let arriving = self.arriving(process, signal);
            plan = arriving
                .touches
                .into_iter()
                .fold(plan, |plan, touch| plan.and(touch.object.as_str(), touch.access));
        }
        if self.is_simple(task) {
            return self.with_simple_handlers(task, plan);
        }
        let is_seen = plan.is_visible() || plan.is_output() || is_fork;
        let number = self.call(task).number;
        let is_met = calls::changes_handling(number)
            || self.shares_buffer_with_handlers(task)
            || calls::changes_state(number)
                && self.learned.contains(&handlers_call(&self.process(task).name));
        let sleeps = calls::is_sleep(number);
        let is_found = || (is_met || sleeps) && self.masks(task).lets_a_handler_run();
        if !is_seen && !is_found() {
            return plan;
        }
        if sleeps && !is_seen {
            // It ends at any time, or is interrupted by a signal that has been sent.
            self.tasks[task].sleeps = true;
            plan = plan.when(self.tasks[process].on_the_way.is_empty());
        }
        plan.and(signals_of(&self.process(task).name), Read)
    }

    /// Holds a receiver at the return of a call, or where it begins.
    pub(super) fn hold(&mut self, task: usize) {
        let plan = Plan::of(signals_of(&self.process(task).name), Await);
        let task = &mut self.tasks[task];
        (task.plan, task.state, task.is_held) = (Some(plan), State::Woken, true);
    }

    /// Sends a signal to the process `target`; returns whether the kernel must send it.
    pub(super) fn send(&mut self, sender: usize, target: usize, signal: i32, to_thread: bool) -> bool {
        let masks = self.masks(target);
        let disposition = masks.disposition(signal);
        if disposition == Disposition::JobControl {
            self.note("a signal that stops a process, or lets it go on");
            return true;
        }
        self.received(target);
        if self.decides_signals() {
            let name = self.task(target).name.clone();
            self.learn(is_sent(&name));
            if disposition == Disposition::Fatal {
                self.learn(may_be_ended(&name));
            }
        }
        if disposition == Disposition::Ignored {
            return false;
        }
        if disposition == Disposition::Fatal && self.ends_for_others(target, signal) {
            // What its end does depends on when the signal is sent, which the dependence of the steps before does not show.
            self.note("a signal that ends a process, whose end others may notice otherwise than by a wait");
        }
        if self.threads(target).count() > 1 {
            self.note("a signal to a process with several threads");
            return true;
        }
        let waits = matches!(self.task(target).state, State::Entry | State::Asleep | State::Woken)
            && !self.task(target).is_ending;
        if disposition == Disposition::Blocked || !waits {
            return true;
        }
        let info = SignalInfo::sent(signal, self.process(sender).tid, to_thread);
        let from = self.process(sender).name.clone();
        self.process_mut(target).on_the_way.entry(signal).or_insert(Sent { info, from });
        false
    }

    /// Whether the end of a process accesses more than its own end: it closes or releases what others may use, or a handler
    /// of its parent is told of it. After SIGKILL, which nothing delays, only the latter is in doubt.
    fn ends_for_others(&mut self, process: usize, signal: i32) -> bool {
        let is_own = |object: &str| object.starts_with("exit ") || object.starts_with("children of ");
        let is_told = |object: &str| object.starts_with("signals ");
        let end = calls::ending(self, process);
        end.touches.iter().map(|touch| touch.object.as_str()).any(|object| match signal {
            libc::SIGKILL => is_told(object),
            _ => !is_own(object),
        })
    }

    /// Records that the kernel has sent SIGCHLD for `child`.
    pub(super) fn told_of_child(&mut self, process: usize, child: usize) {
        if !self.task(process).is_alive() || self.task(process).is_ending {
            return;
        }
        let masks = self.masks(process);
        let bit = 1_u64 << (libc::SIGCHLD - 1);
        if masks.caught & bit == 0 {
            self.tasks[process].has_ignored = true;
            return;
        }
        self.received(process);
        let name = self.task(child).name.clone();
        self.told.push((process, name));
    }

    /// The accesses of an arrival: those of the end of the process, if the signal ends it.
    pub(super) fn arriving(&mut self, process: usize, signal: i32) -> Plan {
        let plan = Plan::of(signals_of(&self.task(process).name), Await);
        if self.masks(process).disposition(signal) != Disposition::Fatal {
            return plan;
        }
        let end = calls::ending(self, process);
        end.touches.into_iter().fold(plan, |plan, touch| plan.and(touch.object.as_str(), touch.access))
    }

    /// The signals that can arrive at processes that wait at the entry of a call.
    pub(super) fn arrivals(&self) -> Vec<(usize, i32)> {
        // Those with simple handlers have handled what could not interrupt them.
        let may_choose =
            |(index, task): &(usize, &Task)| task.state == State::Entry && !self.is_simple(*index);
        let waiting = self.tasks.iter().enumerate().filter(may_choose);
        waiting.flat_map(|(index, task)| task.on_the_way.keys().map(move |signal| (index, *signal))).collect()
    }
}
