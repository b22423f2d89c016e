//! What other scheduling policies would have made of the measured bursts.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write;

use schemars::JsonSchema;
use serde::Serialize;

use super::numbers::short;
use super::policy::Policy;
use super::simulation::{Fate, Plan, Step, Task, Turn, simulate};
use super::wrap::wrap;
use crate::observe::event::State;
use crate::observe::timeline::{Process, Span, Thread};
use crate::observe::waits::{Ends, Kind, Wait};
use crate::observe::watch::Observed;
use crate::sys::pid::Pid;

/// The measured schedule beside predicted ones. The prediction plays the measured bursts: each thread's CPU time
/// between two waits, waits as long as they were, a wait for a child to that child's predicted end, and a child from
/// where its parent made it. Priorities, affinity, caches, and the cost of a switch are left out.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Comparison {
    /// CPUs that the predictions have: those on which the threads ran for 5 % of their running time or more.
    pub cpus: u64,
    /// Threads with a beginning and an end.
    pub tasks: u64,
    /// The measured schedule first.
    pub schedules: Vec<Schedule>,
    /// Which letter of the charts stands for which thread.
    pub letters: Vec<String>,
}

/// One schedule: averages over the threads that began and ended.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Schedule {
    /// `measured`, or the policy.
    pub policy: String,
    /// From a thread's beginning to its end.
    pub turnaround_ns: u64,
    /// From a thread's beginning until it first had a CPU.
    pub response_ns: u64,
    /// In line for a CPU.
    pub waiting_ns: u64,
    /// When the last thread ended.
    pub end_ns: u64,
    /// Times that a thread got a CPU.
    pub turns: u64,
    /// For each CPU, who had it: a letter for each of 64 equal stretches.
    pub chart: Vec<String>,
    /// The threads that have a letter, and began and ended, one by one.
    pub each: Vec<Job>,
}

/// What a schedule makes of one thread.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Job {
    /// Its letter in the charts.
    pub letter: char,
    /// Its TID.
    pub tid: Pid,
    /// From its beginning to its end.
    pub turnaround_ns: u64,
    /// From its beginning until it first had a CPU.
    pub response_ns: u64,
    /// In line for a CPU.
    pub waiting_ns: u64,
}

const CELLS: usize = 64;
/// A state that is unknown for less than this is left out of the bursts.
const GAP_NS: f64 = 20e6;
/// Steps times tasks that are played: some seconds. A bigger run is told as it was measured only.
const MOST_WORK: usize = 200_000_000;
const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Compares what was observed with what these policies would have done.
pub fn compare(observed: &Observed, policies: &[Policy]) -> Comparison {
    let now_ns = observed.end_ns();
    let origin_ns = observed.origin_ns();
    let lives: Vec<(&Process, &Thread)> = observed
        .timeline
        .processes()
        .flat_map(|(_, process)| process.threads.iter().map(move |thread| (process, thread)))
        .collect();
    let (tasks, mut measured) = Builder { observed, lives: &lives, origin_ns, now_ns }.tasks();
    let cpus: BTreeSet<usize> = measured.iter().map(|turn| turn.cpu).collect();
    let cpu_places: HashMap<usize, usize> = cpus.iter().enumerate().map(|(at, cpu)| (*cpu, at)).collect();
    for turn in &mut measured {
        turn.cpu = cpu_places[&turn.cpu];
    }
    let n_cpus = n_used(&measured);
    let since = |at_ns: u64| at_ns.saturating_sub(origin_ns);
    let whole = |thread: &Thread, process: &Process| !process.found && thread.ended_ns.is_some();
    let counted: Vec<usize> = (0..lives.len()).filter(|at| whole(lives[*at].1, lives[*at].0)).collect();
    let fates = lives.iter().map(|(_, thread)| Fate {
        arrived_ns: since(thread.started_ns),
        first_ns: thread.first_ran_ns.map(since),
        ended_ns: thread.ended_ns.map(since),
        waited_ns: thread.sums_at(now_ns).ready_ns,
    });
    let measured = Plan { fates: fates.collect(), end_ns: since(now_ns), turns: measured };
    // Each moment of a simulation looks at all tasks.
    let work: usize = tasks.iter().map(|task| task.steps.len()).sum::<usize>() * tasks.len();
    let policies = if work > MOST_WORK { &[] } else { policies };
    let plans = policies.iter().map(|policy| (policy.to_string(), simulate(&tasks, n_cpus, *policy)));
    let all: Vec<(String, Plan)> = [("measured".to_owned(), measured)].into_iter().chain(plans).collect();
    let length_ns = all.iter().map(|(_, plan)| plan.end_ns).max().unwrap_or(1).max(1);
    Comparison {
        cpus: n_cpus as u64,
        tasks: counted.len() as u64,
        schedules: all
            .into_iter()
            .map(|(policy, plan)| Schedule {
                each: jobs(&plan, &counted, &lives),
                ..schedule(policy, &plan, &counted, length_ns)
            })
            .collect(),
        letters: lives
            .iter()
            .zip(LETTERS)
            .map(|((process, thread), letter)| {
                format!(
                    "{} {} {}",
                    char::from(*letter),
                    thread.tid,
                    thread.name.as_ref().unwrap_or(&process.name)
                )
            })
            .collect(),
    }
}

/// How many CPUs the threads used. One on which a program was only started, before it was bound to another one or moved
/// there, is none that it used.
fn n_used(turns: &[Turn]) -> usize {
    const PART: u64 = 20;
    let mut ran_ns: HashMap<usize, u64> = HashMap::new();
    for turn in turns {
        *ran_ns.entry(turn.cpu).or_default() += turn.to_ns - turn.from_ns;
    }
    let all_ns: u64 = ran_ns.values().sum();
    ran_ns.values().filter(|ns| **ns * PART >= all_ns).count().max(1)
}

fn turnaround_ns(fate: &Fate, plan: &Plan) -> u64 {
    fate.ended_ns.unwrap_or(plan.end_ns).saturating_sub(fate.arrived_ns)
}

fn response_ns(fate: &Fate) -> u64 {
    fate.first_ns.unwrap_or(fate.arrived_ns).saturating_sub(fate.arrived_ns)
}

fn jobs(plan: &Plan, counted: &[usize], lives: &[(&Process, &Thread)]) -> Vec<Job> {
    let job = |at: &usize| {
        let (fate, letter) = (&plan.fates[*at], char::from(*LETTERS.get(*at)?));
        Some(Job {
            letter,
            tid: lives[*at].1.tid,
            turnaround_ns: turnaround_ns(fate, plan),
            response_ns: response_ns(fate),
            waiting_ns: fate.waited_ns,
        })
    };
    counted.iter().filter_map(job).collect()
}

fn schedule(policy: String, plan: &Plan, counted: &[usize], length_ns: u64) -> Schedule {
    let n = counted.len().max(1) as u64;
    let fates = || counted.iter().map(|at| &plan.fates[*at]);
    let cpus = plan.turns.iter().map(|turn| turn.cpu + 1).max().unwrap_or(1);
    Schedule {
        policy,
        turnaround_ns: fates().map(|fate| turnaround_ns(fate, plan)).sum::<u64>() / n,
        response_ns: fates().map(response_ns).sum::<u64>() / n,
        waiting_ns: fates().map(|fate| fate.waited_ns).sum::<u64>() / n,
        end_ns: plan.end_ns,
        turns: plan.turns.len() as u64,
        chart: (0..cpus).map(|cpu| chart(&plan.turns, cpu, length_ns)).collect(),
        each: Vec::new(),
    }
}

/// The task that had a CPU for longest in each period; `.` if the CPU was idle for more than seven eighths of it.
fn chart(turns: &[Turn], cpu: usize, length_ns: u64) -> String {
    let cell_ns = (length_ns / CELLS as u64).max(1);
    let mut used: Vec<HashMap<usize, u64>> = vec![HashMap::new(); CELLS];
    for turn in turns.iter().filter(|turn| turn.cpu == cpu) {
        let mut at_ns = turn.from_ns;
        while at_ns < turn.to_ns {
            let cell = (at_ns / cell_ns) as usize;
            let Some(cell_used) = used.get_mut(cell) else { break };
            let next_ns = turn.to_ns.min((cell as u64 + 1) * cell_ns);
            *cell_used.entry(turn.task).or_default() += next_ns - at_ns;
            at_ns = next_ns;
        }
    }
    let letter = |cell: &HashMap<usize, u64>| {
        let busy: u64 = cell.values().sum();
        match cell.iter().max_by_key(|(task, ns)| (**ns, std::cmp::Reverse(**task))) {
            Some((task, _)) if busy * 8 >= cell_ns => {
                LETTERS.get(*task).map_or('#', |letter| char::from(*letter))
            }
            _ => '.',
        }
    };
    used.iter().map(letter).collect()
}

struct Builder<'a> {
    observed: &'a Observed,
    lives: &'a [(&'a Process, &'a Thread)],
    origin_ns: u64,
    now_ns: u64,
}

impl Builder<'_> {
    /// The tasks, and the turns that were measured.
    fn tasks(&self) -> (Vec<Task>, Vec<Turn>) {
        let mut made = vec![false; self.lives.len()];
        let mut turns = Vec::new();
        let mut tasks: Vec<Task> = Vec::with_capacity(self.lives.len());
        for (task, (process, thread)) in self.lives.iter().enumerate() {
            let children = self.children(process, thread);
            for (_, child) in &children {
                made[*child] = true;
            }
            tasks.push(Task { arrives_ns: None, steps: self.steps(task, thread, &children, &mut turns) });
        }
        for (task, (_, thread)) in self.lives.iter().enumerate() {
            if !made[task] {
                tasks[task].arrives_ns = Some(thread.started_ns.saturating_sub(self.origin_ns));
            }
        }
        turns.sort_by_key(|turn| turn.to_ns);
        (tasks, turns)
    }

    /// The tasks that a thread made, in the order of time: a main thread those of its process.
    fn children(&self, process: &Process, thread: &Thread) -> Vec<(u64, usize)> {
        if thread.tid != process.pid {
            return Vec::new();
        }
        let is_child = |(other, life): &(&Process, &Thread)| {
            let parent = other.orphan.map_or(other.ppid, |orphan| orphan.old);
            let of_process = parent == process.pid && life.tid == other.pid && other.pid != process.pid;
            let of_thread = other.pid == process.pid && life.tid != process.pid;
            let lived = life.started_ns >= thread.started_ns
                && thread.ended_ns.is_none_or(|ended_ns| life.started_ns <= ended_ns);
            (of_process || of_thread) && lived && !other.found
        };
        let mut children: Vec<(u64, usize)> = (0..self.lives.len())
            .filter(|at| is_child(&self.lives[*at]))
            .map(|at| (self.lives[at].1.started_ns, at))
            .collect();
        children.sort_unstable();
        children
    }

    fn steps(
        &self,
        task: usize,
        thread: &Thread,
        children: &[(u64, usize)],
        turns: &mut Vec<Turn>,
    ) -> Vec<Step> {
        let since = |at_ns: u64| at_ns.saturating_sub(self.origin_ns);
        let mut unborn = children.iter().peekable();
        let mut steps = Vec::new();
        // Wake-up delays are part of the spans of waits, but another policy would not have them.
        let sums = thread.sums_at(self.now_ns);
        let waits = (sums.blocked_ns + thread.hidden_ns()).max(1);
        let waited = |ns: u64| (ns as f64 * sums.blocked_ns as f64 / waits as f64) as u64;
        let spans = thread.spans_at(0, self.now_ns);
        let mut sleeps_until = 0;
        for (place, span) in spans.iter().enumerate() {
            let mut from_ns = span.from_ns;
            let running = span.share(State::Running);
            while let Some((at_ns, child)) = unborn.next_if(|(at_ns, _)| *at_ns < span.to_ns) {
                let before_ns = at_ns.saturating_sub(from_ns);
                push_cpu(&mut steps, (before_ns as f64 * running) as u64);
                steps.push(Step::Spawn(*child));
                from_ns = from_ns.max(*at_ns);
            }
            let rest_ns = span.to_ns - from_ns;
            push_cpu(&mut steps, (rest_ns as f64 * running) as u64);
            if running > 0.0 {
                let ran_ns = (span.ns() as f64 * running) as u64;
                turns.push(Turn {
                    cpu: span.cpu as usize,
                    task,
                    from_ns: since(span.from_ns),
                    to_ns: since(span.from_ns) + ran_ns,
                });
            }
            // Where a source has gaps for a moment, at a thread's end or between two looks, it is no sleep: a policy
            // would give its CPU to another thread there.
            let unknown = match span.share(State::Unknown) {
                share if (share * span.ns() as f64) < GAP_NS => share,
                _ => 0.0,
            };
            let off = 1.0 - running - span.share(State::Ready) - unknown;
            // The rest of a sleep that ends with a child.
            if off > 0.001 && place >= sleeps_until {
                let ns = waited((rest_ns as f64 * off) as u64);
                // What a thread waits for may be read several times while it sleeps.
                let sleep = &spans[place..];
                let n = sleep.iter().take_while(|span| span.share(State::Blocked) > 0.999).count();
                match self.awaited(&sleep[..n.max(1)], children) {
                    Some(child) => {
                        sleeps_until = place + n;
                        steps.push(Step::Await(child));
                    }
                    None => steps.push(Step::Block(ns)),
                }
            }
        }
        steps.extend(unborn.map(|(_, child)| Step::Spawn(*child)));
        steps
    }

    /// The child whose end ended a sleep. Some shells wait for their children in `sigsuspend`, for `SIGCHLD`. Of a sleep
    /// whose reason was never read, the child that ended as it did.
    fn awaited(&self, sleep: &[Span], children: &[(u64, usize)]) -> Option<usize> {
        const LATE_NS: u64 = 2_000_000;
        let (from_ns, to_ns) = (sleep.first()?.from_ns, sleep.last()?.to_ns);
        let waits: Vec<&Wait> =
            sleep.iter().filter_map(|span| self.observed.timeline.wait(span.wait)).collect();
        // A thread other than the main one may wait for a child that is listed with that.
        let alone = waits.iter().find_map(|wait| match (wait.kind, &wait.ends) {
            (Kind::Child, Ends::Only(pids)) if pids.len() == 1 => pids.first().copied(),
            _ => None,
        });
        if let Some(child) = alone.and_then(|pid| self.ended_at(pid, from_ns, to_ns + LATE_NS)) {
            return Some(child);
        }
        let is_meant = |wait: &&Wait, pid: Pid| match (wait.kind, &wait.ends) {
            (Kind::Child, Ends::Only(pids)) => pids.contains(&pid),
            // Another signal, or time, could have ended it, too.
            (Kind::Child, Ends::Outside) | (Kind::Signal, _) => true,
            _ => false,
        };
        let is_sure = |pid: Pid| {
            let only = |wait: &&Wait| wait.kind == Kind::Child && matches!(wait.ends, Ends::Only(_));
            waits.iter().any(|wait| only(wait) && is_meant(wait, pid))
        };
        let ended = |(_, child): &(u64, usize)| {
            let (process, thread) = self.lives[*child];
            let pid = process.pid;
            let ended_ns = process.ended_ns.filter(|_| thread.tid == pid)?;
            let meant = waits.is_empty() || waits.iter().any(|wait| is_meant(wait, pid));
            let within = (from_ns..=to_ns + LATE_NS).contains(&ended_ns);
            // The wake-up may take long on a loaded machine.
            let late_ns = if waits.is_empty() { LATE_NS } else { LATE_NS + (to_ns - from_ns) / 10 };
            let as_it_did = ended_ns.abs_diff(to_ns) <= late_ns || is_sure(pid);
            (meant && within && as_it_did).then_some((ended_ns, *child))
        };
        // It was asleep until the last one of them had ended.
        children.iter().filter_map(ended).max().map(|(_, child)| child)
    }

    fn ended_at(&self, pid: Pid, from_ns: u64, to_ns: u64) -> Option<usize> {
        let ends = |(process, thread): &(&Process, &Thread)| {
            process.pid == pid
                && thread.tid == pid
                && process.ended_ns.is_some_and(|ended_ns| (from_ns..=to_ns).contains(&ended_ns))
        };
        self.lives.iter().position(ends)
    }
}

fn counted(n: u64, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

/// The threads one by one, by their letters, if they are few.
fn each(comparison: &Comparison, width: usize) -> String {
    const MOST: usize = 12;
    const CELL: usize = 11;
    let mut text = String::new();
    let letters: Vec<char> = comparison
        .schedules
        .first()
        .map_or(Vec::new(), |first| first.each.iter().map(|job| job.letter).collect());
    if !(2..=MOST).contains(&letters.len()) || comparison.tasks > letters.len() as u64 {
        return text;
    }
    let per_line = (width.saturating_sub(CELL) / CELL).max(1);
    for title in ["TURNAROUND", "RESPONSE", "WAITING"] {
        let figure = |job: &Job| match title {
            "TURNAROUND" => job.turnaround_ns,
            "RESPONSE" => job.response_ns,
            _ => job.waiting_ns,
        };
        for from in (0..letters.len()).step_by(per_line) {
            let to = letters.len().min(from + per_line);
            let heads: String = letters[from..to].iter().map(|letter| format!(" {letter:>10}")).collect();
            let _ = writeln!(text, "\n {title:<10}{heads}");
            for schedule in &comparison.schedules {
                let cell = |job: &Job| format!(" {:>10}", short(figure(job)));
                let cells: String = schedule.each[from..to].iter().map(cell).collect();
                let _ = writeln!(text, " {:<10}{cells}", schedule.policy);
            }
        }
    }
    text
}

fn push_cpu(steps: &mut Vec<Step>, ns: u64) {
    match steps.last_mut() {
        _ if ns == 0 => {}
        Some(Step::Cpu(last)) => *last += ns,
        _ => steps.push(Step::Cpu(ns)),
    }
}

#[cfg(test)]
#[path = "compare_tests.rs"]
mod tests;

/// The comparison as a table and charts, which fit 80 columns.
pub(super) fn text(comparison: &Comparison, width: usize) -> String {
    let mut text = format!(
        "\nThe measured bursts of {} on {} under other policies, averages (a prediction: waits as long as they were, all priorities the same, switches free):\n",
        counted(comparison.tasks, "thread"),
        counted(comparison.cpus, "CPU")
    );
    let _ = writeln!(
        text,
        " {:<10} {:>10} {:>10} {:>10} {:>10} {:>7}",
        "POLICY", "TURNAROUND", "RESPONSE", "WAITING", "END", "TURNS"
    );
    for schedule in &comparison.schedules {
        let _ = writeln!(
            text,
            " {:<10} {:>10} {:>10} {:>10} {:>10} {:>7}",
            schedule.policy,
            short(schedule.turnaround_ns),
            short(schedule.response_ns),
            short(schedule.waiting_ns),
            short(schedule.end_ns),
            schedule.turns
        );
    }
    if comparison.schedules.len() == 1 {
        text.push_str(" There are too many bursts and threads to predict other schedules.\n");
    }
    text.push_str(&each(comparison, width));
    let longest = comparison.schedules.iter().map(|schedule| schedule.end_ns).max().unwrap_or(0);
    let _ = writeln!(text, "\n Who had each CPU, a letter for {}:", short(longest / CELLS as u64));
    for schedule in &comparison.schedules {
        for (cpu, chart) in schedule.chart.iter().enumerate() {
            let name = if cpu == 0 { schedule.policy.as_str() } else { "" };
            let _ = writeln!(text, " {name:<10} {cpu:>2} {chart}");
        }
    }
    text.push_str(&wrap(&format!(" {}", comparison.letters.join(", ")), width));
    text
}
