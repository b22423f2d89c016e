//! When a signal arrives is a decision.
//!
//! A signal is handled where its process enters or leaves a system call. What a process does with one that another
//! process sends, or that tells of a child, depends on how far it has come, so each call of a *receiver* is two
//! steps: the call, and its return. Between them the process holds still, and a signal that arrives then is handled
//! before the program goes on. One that arrives before a call may be handled before it, as a step of its own, or,
//! for the process was in the call already, after it.
//!
//! Most programs send no signals that matter, and a search without these steps is far shorter. So the first search
//! goes on as if signals arrived when their process goes on next; if that was not sure, another one follows in which
//! they are decisions.

use std::collections::BTreeMap;

use nix::libc;

use super::calls;
use super::machine::{Done, Machine, failed};
use super::plan::Plan;
use super::waiting::Came;
use super::world::{State, Task, World};
use crate::explore::step::Access::{Await, Read};
use crate::explore::step::{Effect, Seen, Step};
use crate::sys::pid::Pid;
use crate::sys::ptrace::arch::Registers;
use crate::sys::ptrace::stops::{self, SignalInfo, Stop};
use crate::sys::signal::signal_name;

/// The fact that signals are decisions.
pub(super) const DECIDED: &str = "signals";

/// The fact that signals arrive at this process.
pub(super) fn receives(name: &str) -> String {
    format!("{name} receives signals")
}

/// The object that a signal to this process changes, and on which all its steps depend.
pub(super) fn signals_of(name: &str) -> String {
    format!("signals {name}")
}

/// The name of the task that stands for the arrival of a signal.
pub(super) fn arrival_of(name: &str, signal: i32) -> String {
    format!("{name}@{}", signal_name(signal))
}

/// Whether this is the name of the arrival of a signal: then whose.
pub(super) fn receiver_of(task: &str) -> Option<&str> {
    task.split_once('@').map(|(receiver, _)| receiver)
}

/// A signal on its way to a process.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    info: SignalInfo,
    /// Whose: the sender, or the child of which it tells.
    from: String,
}

/// Signals on their way to a process, by number: a second one of the same number is the same.
pub(super) type OnTheWay = BTreeMap<i32, Sent>;

/// What becomes of a signal that arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disposition {
    /// It waits until it is no longer blocked.
    Blocked,
    /// A handler runs.
    Caught,
    /// Nothing.
    Ignored,
    /// The process ends.
    Fatal,
    /// The process stops or goes on.
    JobControl,
}

/// The signals of a task, as `/proc/PID/status` tells.
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
        for line in std::fs::read_to_string(format!("/proc/{tid}/status")).unwrap_or_default().lines() {
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

    /// What becomes of `signal`.
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
    /// Whether signals are decisions in this search.
    pub(super) fn decides_signals(&self) -> bool {
        self.learned.contains(DECIDED)
    }

    /// Whether every step of the task depends on when signals arrive.
    pub(super) fn is_receiver(&self, task: usize) -> bool {
        self.decides_signals() && self.learned.contains(&receives(&self.process(task).name))
    }

    /// The process came to receive a signal whose moment matters.
    fn received(&mut self, process: usize) {
        let fact = receives(&self.task(process).name);
        if self.decides_signals() {
            self.learn(fact);
        } else {
            self.candidates.insert(fact);
        }
    }

    /// The plan of a call of a receiver: what was no step of its own is one.
    pub(super) fn with_signals(&mut self, task: usize, mut plan: Plan) -> Plan {
        if !self.is_receiver(task) {
            return plan;
        }
        // What is on its way arrives after the call at the latest.
        let process = self.task(task).process;
        for signal in self.tasks[process].on_the_way.keys().copied().collect::<Vec<_>>() {
            let arriving = self.arriving(process, signal);
            plan = arriving
                .touches
                .into_iter()
                .fold(plan, |plan, touch| plan.and(touch.object.as_str(), touch.access));
        }
        let is_seen =
            plan.is_visible() || plan.is_output() || self.task(task).row.is_some_and(calls::is_fork);
        if !is_seen {
            return plan;
        }
        plan.and(signals_of(&self.process(task).name), Read)
    }

    /// A receiver holds still at a call's return, or at its beginning.
    pub(super) fn hold(&mut self, task: usize) {
        let plan = Plan::of(signals_of(&self.process(task).name), Await);
        let task = &mut self.tasks[task];
        (task.plan, task.state, task.is_held) = (Some(plan), State::Woken, true);
    }

    /// A signal is sent to the process `target`; whether the kernel has to send it.
    pub(super) fn send(&mut self, sender: usize, target: usize, signal: i32, to_thread: bool) -> bool {
        let masks = Masks::of(self.tid(target));
        match masks.disposition(signal) {
            Disposition::Ignored => return false,
            Disposition::JobControl => {
                self.note("a signal that stops a process, or lets it go on");
                return true;
            }
            _ => {}
        }
        self.received(target);
        if !self.decides_signals() {
            self.note("the moment at which a signal arrives");
        }
        if self.threads(target).count() > 1 {
            self.note("a signal to a process with several threads");
            return true;
        }
        let waits = matches!(self.task(target).state, State::Entry | State::Asleep | State::Woken);
        if masks.disposition(signal) == Disposition::Blocked || !waits {
            return true;
        }
        let info = SignalInfo::sent(signal, self.process(sender).tid, to_thread);
        let from = self.process(sender).name.clone();
        self.process_mut(target).on_the_way.entry(signal).or_insert(Sent { info, from });
        false
    }

    /// A child of the process has ended, of which a signal tells.
    pub(super) fn told_of_child(&mut self, process: usize, child: usize) {
        if !self.task(process).is_alive() {
            return;
        }
        let masks = Masks::of(self.tid(process));
        let bit = 1_u64 << (libc::SIGCHLD - 1);
        if masks.caught & bit == 0 {
            return;
        }
        self.received(process);
        if !self.decides_signals() {
            self.note("the moment at which a signal arrives");
        }
        let name = self.task(child).name.clone();
        self.told.push((process, name));
    }

    /// What the handling of a signal touches: everything that the end of the process does, if it is the end.
    pub(super) fn arriving(&mut self, process: usize, signal: i32) -> Plan {
        let plan = Plan::of(signals_of(&self.task(process).name), Await);
        if Masks::of(self.tid(process)).disposition(signal) != Disposition::Fatal {
            return plan;
        }
        let end = calls::ending(self, process);
        end.touches.into_iter().fold(plan, |plan, touch| plan.and(touch.object.as_str(), touch.access))
    }

    /// Signals on their way to processes that wait at the entry of a call: who receives what.
    fn arrivals(&self) -> Vec<(usize, i32)> {
        let waiting = self.tasks.iter().enumerate().filter(|(_, task)| task.state == State::Entry);
        waiting.flat_map(|(index, task)| task.on_the_way.keys().map(move |signal| (index, *signal))).collect()
    }
}

impl Machine {
    /// The step of each signal on its way, by the number of its task.
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

    /// The signal whose arrival is the task with this number arrives.
    pub(super) fn arrive(&mut self, number: usize) -> Done<Effect> {
        self.created.clear();
        self.world.steps += 1;
        let Some((process, signal, step)) = self.arrivals.get(&number).cloned() else {
            return Ok(Effect::default());
        };
        let touches: Vec<_> = step.touches().collect();
        self.world.pass_time(process, &touches, false);
        let from = self.world.tasks[process].on_the_way.get(&signal).map(|sent| sent.from.clone());
        let text = format!("{} from {}", signal_name(signal), from.unwrap_or_default());
        self.handle(process, signal)?;
        self.settle()?;
        let created = self.created.iter().map(|task| self.world.tasks[*task].number as u32).collect();
        Ok(Effect { seen: Seen { text, ..Seen::default() }, created, ..Effect::default() })
    }

    /// Signals that their receivers must handle before anything else are handled; whether there were any.
    pub(super) fn handle_at_once(&mut self) -> Done<bool> {
        let is_decided = self.world.decides_signals();
        let must = |task: &Task| {
            let waits = match task.state {
                State::Woken | State::Asleep => true,
                state => state == State::Entry && !is_decided,
            };
            waits && !task.on_the_way.is_empty()
        };
        let Some(process) = self.world.tasks.iter().position(must) else { return Ok(false) };
        // What the call would do may have changed just now.
        self.plan_anew(process);
        let task = &self.world.tasks[process];
        let would_sleep = task.state == State::Entry && task.plan.as_ref().is_some_and(|plan| !plan.ready);
        // As the kernel: the lowest number first.
        let first = task.on_the_way.keys().next().copied();
        match first {
            _ if would_sleep => self.interrupt(process)?,
            Some(signal) => self.handle(process, signal)?,
            None => {}
        }
        Ok(true)
    }

    /// The process handles a signal where it stands, and goes on to its next visible call.
    fn handle(&mut self, process: usize, signal: i32) -> Done {
        let tid = self.world.tid(process);
        let Some(sent) = self.world.tasks[process].on_the_way.remove(&signal) else { return Ok(()) };
        if Masks::of(tid).disposition(signal) == Disposition::Blocked {
            // It sleeps in a call that blocks it meanwhile.
            stops::send(tid, signal);
            return Ok(());
        }
        let state = self.world.tasks[process].state;
        self.leave_entry(process)?;
        stops::send(tid, signal);
        if state != State::Asleep {
            stops::resume(tid, 0).map_err(failed("resume"))?;
        }
        self.deliver_sent(process, signal, &sent)
    }

    /// A call that would sleep is broken off by a signal that is on its way: it fails, or begins again after the
    /// handler, as the kernel decides.
    pub(super) fn interrupt(&mut self, process: usize) -> Done {
        let tid = self.world.tid(process);
        let Some((signal, sent)) = self.world.tasks[process].on_the_way.pop_first() else { return Ok(()) };
        stops::send(tid, signal);
        stops::resume(tid, 0).map_err(failed("resume"))?;
        self.deliver_sent(process, signal, &sent)
    }

    /// The signal that was sent just now stops the process, which goes on with it to its next visible call.
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

    /// A task at the entry of a call will enter it once more when it goes on.
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

    /// Takes the signals that tell of children out of the kernel's hands, so that their arrival can be decided.
    pub(super) fn take_told(&mut self) -> Done {
        for (process, child) in std::mem::take(&mut self.world.told) {
            let (tid, state) = (self.world.tid(process), self.world.tasks[process].state);
            if !matches!(state, State::Entry | State::Woken) {
                // A sleeper is woken; one that has not run yet is delivered it when it does.
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
