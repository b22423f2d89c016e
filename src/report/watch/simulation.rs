//! What a scheduling policy would have made of the same bursts: a simulation, without I/O or clock.

use std::collections::VecDeque;

use super::policy::Policy;

/// One millisecond.
const MS: u64 = 1_000_000;
/// Time slices of the three queues of `mlfq`, the highest first, as in OSTEP.
const LEVELS: [u64; 3] = [10 * MS, 20 * MS, 40 * MS];
/// After this long all tasks of `mlfq` are back in the highest queue.
const BOOST_NS: u64 = 1_000 * MS;
/// The base slice of `eevdf`.
const SLICE_NS: u64 = 3 * MS;

/// What a task does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Uses a CPU for this long.
    Cpu(u64),
    /// Is blocked for this long, whatever the others do.
    Block(u64),
    /// Creates the task with this number.
    Spawn(usize),
    /// Is blocked until the task with this number has ended.
    Await(usize),
}

/// A task: when it arrives, and what it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Task {
    /// When it arrives; `None` if another task creates it.
    pub arrives_ns: Option<u64>,
    /// Its steps.
    pub steps: Vec<Step>,
}

/// The result for one task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Fate {
    /// When it arrived.
    pub arrived_ns: u64,
    /// When it first had a CPU.
    pub first_ns: Option<u64>,
    /// When it ended.
    pub ended_ns: Option<u64>,
    /// How long it waited for a CPU.
    pub waited_ns: u64,
}

/// A period on a CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Turn {
    /// The CPU.
    pub cpu: usize,
    /// The task.
    pub task: usize,
    /// Begin.
    pub from_ns: u64,
    /// End.
    pub to_ns: u64,
}

/// What a policy made of the tasks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Plan {
    /// By task.
    pub fates: Vec<Fate>,
    /// In the order of end.
    pub turns: Vec<Turn>,
    /// When the last task ended.
    pub end_ns: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Absent,
    Ready { since_ns: u64 },
    Running { cpu: usize, since_ns: u64, slice_ends_ns: u64 },
    Blocked { until_ns: u64 },
    Awaiting(usize),
    Ended,
}

struct Live {
    phase: Phase,
    step: usize,
    /// What is left of the current burst up to the next step.
    left_ns: u64,
    /// How long the burst goes on after that: creating a task is part of it.
    more_ns: u64,
    level: usize,
    used_ns: u64,
    virtual_ns: u64,
    deadline_ns: u64,
    fate: Fate,
}

/// Runs the tasks on `cpus` CPUs. A switch costs nothing.
pub(super) fn simulate(tasks: &[Task], cpus: usize, policy: Policy) -> Plan {
    let live = tasks.iter().map(|task| Live {
        phase: task.arrives_ns.map_or(Phase::Absent, |until_ns| Phase::Blocked { until_ns }),
        step: 0,
        left_ns: 0,
        more_ns: 0,
        level: 0,
        used_ns: 0,
        virtual_ns: 0,
        deadline_ns: 0,
        fate: Fate { arrived_ns: task.arrives_ns.unwrap_or(0), ..Fate::default() },
    });
    let mut play = Play {
        tasks,
        live: live.collect(),
        queue: VecDeque::new(),
        cpus: vec![None; cpus.max(1)],
        policy,
        now_ns: 0,
        boosted_ns: 0,
        turns: Vec::new(),
    };
    while let Some(next_ns) = play.next_moment() {
        play.now_ns = next_ns;
        play.boost();
        play.end_turns();
        play.wake();
        play.dispatch();
    }
    let fates: Vec<Fate> = play.live.iter().map(|task| task.fate).collect();
    let end_ns = fates.iter().filter_map(|fate| fate.ended_ns).max().unwrap_or(0);
    Plan { fates, turns: play.turns, end_ns }
}

struct Play<'a> {
    tasks: &'a [Task],
    live: Vec<Live>,
    /// The ready tasks, in the order of arrival.
    queue: VecDeque<usize>,
    cpus: Vec<Option<usize>>,
    policy: Policy,
    now_ns: u64,
    boosted_ns: u64,
    turns: Vec<Turn>,
}

impl Play<'_> {
    fn next_moment(&self) -> Option<u64> {
        self.live
            .iter()
            .filter_map(|task| match task.phase {
                Phase::Running { since_ns, slice_ends_ns, .. } => {
                    Some((since_ns + task.left_ns).min(slice_ends_ns))
                }
                Phase::Blocked { until_ns } => Some(until_ns),
                _ => None,
            })
            .min()
    }

    fn boost(&mut self) {
        if self.policy == Policy::Mlfq && self.now_ns - self.boosted_ns >= BOOST_NS {
            self.boosted_ns = self.now_ns;
            for task in &mut self.live {
                (task.level, task.used_ns) = (0, 0);
            }
        }
    }

    /// Ends the turns whose burst or slice is over.
    fn end_turns(&mut self) {
        for cpu in 0..self.cpus.len() {
            let Some(task) = self.cpus[cpu] else { continue };
            let Phase::Running { since_ns, slice_ends_ns, .. } = self.live[task].phase else { continue };
            let burst_over = since_ns + self.live[task].left_ns <= self.now_ns;
            let slice_over = slice_ends_ns <= self.now_ns;
            if !burst_over && !slice_over {
                continue;
            }
            self.take_away(cpu);
            if burst_over && !self.has_more(task) {
                continue;
            }
            if slice_over {
                self.demote(task);
                self.make_ready(task);
            } else {
                // It has created a task, and keeps the CPU.
                self.live[task].phase = Phase::Running { cpu, since_ns: self.now_ns, slice_ends_ns };
                self.cpus[cpu] = Some(task);
            }
        }
    }

    fn take_away(&mut self, cpu: usize) {
        let Some(task) = self.cpus[cpu].take() else { return };
        let now_ns = self.now_ns;
        let live = &mut self.live[task];
        let Phase::Running { since_ns, .. } = live.phase else { return };
        let ran_ns = now_ns - since_ns;
        live.left_ns -= ran_ns.min(live.left_ns);
        live.used_ns += ran_ns;
        live.virtual_ns += ran_ns;
        if live.virtual_ns >= live.deadline_ns {
            live.deadline_ns = live.virtual_ns + SLICE_NS;
        }
        if ran_ns > 0 {
            let turn = Turn { cpu, task, from_ns: since_ns, to_ns: now_ns };
            match self.turns.iter_mut().rev().find(|turn| turn.cpu == cpu) {
                Some(last) if last.task == task && last.to_ns == since_ns => last.to_ns = now_ns,
                _ => self.turns.push(turn),
            }
        }
    }

    fn demote(&mut self, task: usize) {
        let live = &mut self.live[task];
        if live.used_ns >= LEVELS[live.level] {
            live.level = (live.level + 1).min(LEVELS.len() - 1);
            live.used_ns = 0;
        }
    }

    fn make_ready(&mut self, task: usize) {
        // A task that slept for long has no claim on the time that it did not want.
        let least = self.least_virtual_ns();
        let live = &mut self.live[task];
        if live.virtual_ns + SLICE_NS < least {
            live.virtual_ns = least.saturating_sub(SLICE_NS);
            live.deadline_ns = live.virtual_ns + SLICE_NS;
        }
        live.phase = Phase::Ready { since_ns: self.now_ns };
        self.queue.push_back(task);
    }

    fn least_virtual_ns(&self) -> u64 {
        let competes = |task: &&Live| matches!(task.phase, Phase::Ready { .. } | Phase::Running { .. });
        self.live.iter().filter(competes).map(|task| task.virtual_ns).min().unwrap_or(0)
    }

    fn wake(&mut self) {
        for task in 0..self.live.len() {
            if matches!(self.live[task].phase, Phase::Blocked { until_ns } if until_ns <= self.now_ns) {
                self.go_on(task);
            }
        }
    }

    /// The task's next steps, up to one that takes time.
    fn go_on(&mut self, task: usize) {
        if self.has_more(task) {
            self.make_ready(task);
        }
    }

    /// The length of a burst after the step that has begun.
    fn more_ns(&self, task: usize) -> u64 {
        const MOST: usize = 1000;
        let steps = self.tasks[task].steps.iter().skip(self.live[task].step).take(MOST);
        let of_burst = steps.map_while(|step| match step {
            Step::Cpu(ns) => Some(*ns),
            Step::Spawn(_) => Some(0),
            Step::Block(_) | Step::Await(_) => None,
        });
        of_burst.sum()
    }

    /// Takes the task's next steps, up to one that takes time; returns whether that needs a CPU.
    fn has_more(&mut self, task: usize) -> bool {
        loop {
            let step = self.tasks[task].steps.get(self.live[task].step).copied();
            self.live[task].step += 1;
            match step {
                Some(Step::Cpu(0) | Step::Block(0)) => {}
                Some(Step::Cpu(ns)) => {
                    self.live[task].left_ns = ns;
                    self.live[task].more_ns = self.more_ns(task);
                    return true;
                }
                Some(Step::Block(ns)) => {
                    self.live[task].phase = Phase::Blocked { until_ns: self.now_ns + ns };
                    return false;
                }
                Some(Step::Spawn(other)) => {
                    if let Some(Live { phase: phase @ Phase::Absent, fate, .. }) = self.live.get_mut(other) {
                        *phase = Phase::Blocked { until_ns: self.now_ns };
                        fate.arrived_ns = self.now_ns;
                    }
                }
                Some(Step::Await(other)) => {
                    if self.live.get(other).is_some_and(|other| other.phase != Phase::Ended) {
                        self.live[task].phase = Phase::Awaiting(other);
                        return false;
                    }
                }
                None => {
                    self.live[task].phase = Phase::Ended;
                    self.live[task].fate.ended_ns = Some(self.now_ns);
                    for waiter in &mut self.live {
                        if waiter.phase == Phase::Awaiting(task) {
                            waiter.phase = Phase::Blocked { until_ns: self.now_ns };
                        }
                    }
                    return false;
                }
            }
        }
    }

    fn dispatch(&mut self) {
        loop {
            let Some(best) = self.best() else { return };
            let free = self.cpus.iter().position(Option::is_none);
            let Some(cpu) = free.or_else(|| self.loser(self.queue[best])) else { return };
            if let Some(loser) = self.cpus[cpu] {
                self.take_away(cpu);
                self.make_ready(loser);
            }
            let Some(task) = self.queue.remove(best) else { return };
            self.start(task, cpu);
        }
    }

    fn start(&mut self, task: usize, cpu: usize) {
        let now_ns = self.now_ns;
        let slice_ns = match self.policy {
            Policy::Fifo | Policy::Sjf | Policy::Stcf => u64::MAX,
            Policy::RoundRobin(ns) => ns,
            Policy::Mlfq => LEVELS[self.live[task].level].saturating_sub(self.live[task].used_ns).max(1),
            Policy::Eevdf => SLICE_NS,
        };
        let live = &mut self.live[task];
        if let Phase::Ready { since_ns } = live.phase {
            live.fate.waited_ns += now_ns - since_ns;
        }
        live.fate.first_ns.get_or_insert(now_ns);
        live.phase = Phase::Running { cpu, since_ns: now_ns, slice_ends_ns: now_ns.saturating_add(slice_ns) };
        self.cpus[cpu] = Some(task);
    }

    /// The place in the queue of the task that the policy would run next.
    fn best(&self) -> Option<usize> {
        let places = 0..self.queue.len();
        let live = |place: &usize| &self.live[self.queue[*place]];
        match self.policy {
            Policy::Fifo | Policy::RoundRobin(_) => places.into_iter().next(),
            Policy::Sjf | Policy::Stcf => {
                places.min_by_key(|place| (live(place).left_ns + live(place).more_ns, *place))
            }
            Policy::Mlfq => places.min_by_key(|place| (live(place).level, *place)),
            Policy::Eevdf => {
                let competing: Vec<u64> = self
                    .live
                    .iter()
                    .filter(|task| matches!(task.phase, Phase::Ready { .. } | Phase::Running { .. }))
                    .map(|task| task.virtual_ns)
                    .collect();
                let average = competing.iter().sum::<u64>() / competing.len().max(1) as u64;
                places.min_by_key(|place| {
                    let task = live(place);
                    (task.virtual_ns > average, task.deadline_ns, *place)
                })
            }
        }
    }

    /// The CPU that a task may take from another one.
    fn loser(&self, task: usize) -> Option<usize> {
        let rest = |cpu: usize| {
            let task = &self.live[self.cpus[cpu]?];
            let Phase::Running { since_ns, .. } = task.phase else { return None };
            let left_ns = task.left_ns - (self.now_ns - since_ns).min(task.left_ns);
            Some((cpu, left_ns + task.more_ns, task.level))
        };
        let running = (0..self.cpus.len()).filter_map(rest);
        match self.policy {
            Policy::Stcf => {
                let (cpu, left_ns, _) = running.max_by_key(|(_, left_ns, _)| *left_ns)?;
                let task = &self.live[task];
                (left_ns > task.left_ns + task.more_ns).then_some(cpu)
            }
            Policy::Mlfq => {
                let (cpu, _, level) = running.max_by_key(|(.., level)| *level)?;
                (level > self.live[task].level).then_some(cpu)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tasks(bursts: &[(u64, u64)]) -> Vec<Task> {
        let task =
            |(at, ms): &(u64, u64)| Task { arrives_ns: Some(at * MS), steps: vec![Step::Cpu(ms * MS)] };
        bursts.iter().map(task).collect()
    }

    fn average_turnaround(plan: &Plan) -> u64 {
        let each = plan.fates.iter().map(|fate| fate.ended_ns.unwrap() - fate.arrived_ns);
        each.sum::<u64>() / plan.fates.len() as u64 / MS
    }

    fn average_response(plan: &Plan) -> u64 {
        let each = plan.fates.iter().map(|fate| fate.first_ns.unwrap() - fate.arrived_ns);
        each.sum::<u64>() / plan.fates.len() as u64 / MS
    }

    #[test]
    fn the_examples_of_the_textbook_come_out() {
        // OSTEP, chapter 7: the convoy, shortest job first, shortest time to completion first, round robin.
        let convoy = tasks(&[(0, 100), (0, 10), (0, 10)]);
        assert_eq!(average_turnaround(&simulate(&convoy, 1, Policy::Fifo)), 110);
        assert_eq!(average_turnaround(&simulate(&convoy, 1, Policy::Sjf)), 50);
        let late = tasks(&[(0, 100), (10, 10), (10, 10)]);
        assert_eq!(average_turnaround(&simulate(&late, 1, Policy::Sjf)), 103);
        assert_eq!(average_turnaround(&simulate(&late, 1, Policy::Stcf)), 50);
        let three = tasks(&[(0, 5), (0, 5), (0, 5)]);
        assert_eq!(average_response(&simulate(&three, 1, Policy::RoundRobin(MS))), 1);
        assert_eq!(average_turnaround(&simulate(&three, 1, Policy::RoundRobin(MS))), 14);
    }

    #[test]
    fn a_task_that_creates_others_keeps_the_cpu_and_its_burst_is_one() {
        let child = || Task { arrives_ns: None, steps: vec![Step::Cpu(10 * MS)] };
        let steps = [Step::Cpu(MS), Step::Spawn(1), Step::Cpu(MS), Step::Spawn(2), Step::Cpu(MS)];
        let parent =
            Task { arrives_ns: Some(0), steps: [&steps[..], &[Step::Await(1), Step::Await(2)]].concat() };
        let family = [parent, child(), child()];
        for policy in [Policy::Fifo, Policy::Sjf, Policy::RoundRobin(20 * MS)] {
            let plan = simulate(&family, 1, policy);
            let times = |task: usize| {
                let Fate { arrived_ns, first_ns, ended_ns, .. } = plan.fates[task];
                [arrived_ns, first_ns.unwrap(), ended_ns.unwrap()].map(|ns| ns / MS)
            };
            assert_eq!([times(0), times(1), times(2)], [[0, 0, 23], [1, 3, 13], [2, 13, 23]], "{policy}");
            assert_eq!(plan.turns.len(), 3, "{policy}");
        }
        // A burst of 53 ms with a fork in it is longer than one of 50.
        let forks =
            Task { arrives_ns: Some(0), steps: vec![Step::Cpu(3 * MS), Step::Spawn(2), Step::Cpu(50 * MS)] };
        let plan = simulate(&[forks, tasks(&[(0, 50)]).remove(0), child()], 1, Policy::Sjf);
        assert_eq!(plan.fates[1].first_ns, Some(0));
        // A round robin's slice is not begun anew.
        let plan = simulate(&[family[0].clone(), child(), child()], 1, Policy::RoundRobin(2 * MS));
        assert_eq!(plan.fates[1].first_ns, Some(2 * MS));
    }

    #[test]
    fn every_policy_gives_every_task_its_time_and_no_cpu_to_two() {
        let mut all = tasks(&[(0, 30), (5, 7), (6, 50), (20, 1)]);
        all[0].steps =
            vec![Step::Cpu(10 * MS), Step::Spawn(4), Step::Block(8 * MS), Step::Cpu(5 * MS), Step::Await(4)];
        all.push(Task { arrives_ns: None, steps: vec![Step::Cpu(20 * MS), Step::Block(3 * MS)] });
        for text in ["fifo", "sjf", "stcf", "rr:2", "mlfq", "eevdf"] {
            for cpus in [1, 2, 3] {
                let plan = simulate(&all, cpus, text.parse().unwrap());
                assert!(plan.fates.iter().all(|fate| fate.ended_ns.is_some()), "{text}");
                for (task, wanted) in [15, 7, 50, 1, 20].into_iter().enumerate() {
                    let turns = plan.turns.iter().filter(|turn| turn.task == task);
                    let ran: u64 = turns.map(|turn| turn.to_ns - turn.from_ns).sum();
                    assert_eq!(ran, wanted * MS, "{text}: task {task}");
                }
                for cpu in 0..cpus {
                    let mut turns: Vec<&Turn> = plan.turns.iter().filter(|turn| turn.cpu == cpu).collect();
                    turns.sort_by_key(|turn| turn.from_ns);
                    assert!(turns.windows(2).all(|pair| pair[0].to_ns <= pair[1].from_ns), "{text}");
                }
                assert!(plan.fates[0].ended_ns >= plan.fates[4].ended_ns, "{text}: it waits for its child");
            }
        }
    }

    #[test]
    fn two_equal_tasks_share_a_cpu_equally_under_eevdf() {
        let plan = simulate(&tasks(&[(0, 60), (0, 60)]), 1, Policy::Eevdf);
        let ends: Vec<u64> = plan.fates.iter().map(|fate| fate.ended_ns.unwrap() / MS).collect();
        assert!(ends.iter().all(|end| *end >= 115), "{ends:?}");
    }
}
