//! The pipeline as a free run: who makes what, who eats what, how it ends, and what a kill loses.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::body;
use super::coordinator::{Coordinator, Worker};
use super::ledger::{Depth, Ledger, LossRecord};
use super::params::{FreePipeline, NAME, Params, Plan, Role};
use super::resources::{Resources, Share};
use crate::process::{Child, Process};
use crate::said::Said;
use crate::scenario::run::record::{Cell, Detail, Line, Record, Summary, Table};
use crate::scenario::run::stage::{Reason, RunError, Stage};
use crate::scenario::run::verdict::Verdict;
use crate::scenario::world::told::{Report, Told};
use crate::sys::pid::Pid;
use crate::wire::control;

/// The fields of a pipeline's record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PipelineRecord {
    /// How many items were put into the queue.
    pub produced: u64,
    /// How many items each consumer ate.
    pub eaten: BTreeMap<String, u64>,
    /// Items that were put and never eaten, as producer and number.
    pub missing: Vec<(usize, u64)>,
    /// Items that were eaten more than once.
    pub twice: Vec<(usize, u64)>,
    /// The messages that the queue reports as lost, and with which process.
    pub losses: Vec<LossRecord>,
    /// Which processes waited forever, and for what.
    pub stuck: Vec<Said>,
    /// How long each process was blocked on a full or empty queue, in nanoseconds.
    pub blocked_ns: BTreeMap<String, u64>,
    /// The number of queued items at each report.
    pub depth: Vec<Depth>,
}

impl FreePipeline {
    /// Runs the pipeline to its end. The record shows that every item was eaten exactly once, or what is missing.
    ///
    /// # Errors
    /// [`RunError`].
    pub fn run(&self, mut stage: Stage<'_>) -> Result<Record, RunError> {
        let (reports, incoming) = control::channel::<Report>().map_err(RunError::os("socketpair"))?;
        let resources = Resources::create(&self.params).map_err(RunError::queue)?;
        let count = self.params.producers as usize;
        // Consumers first: otherwise the queue would fill.
        let consumers = count..self.params.processes() - 1;
        let consumers = self.start(&stage, &resources, &reports, consumers)?;
        let producers = self.start(&stage, &resources, &reports, 0..count)?;
        drop(reports);
        let mut coordinator =
            Coordinator::new(self, &mut stage, resources, &incoming, &producers, &consumers)?;
        coordinator.run()?;
        let (ledger, losses, stuck) = coordinator.close();
        let all: Vec<_> = producers.iter().chain(&consumers).map(Child::handle).collect();
        stage.join(&all)?;
        for worker in producers.iter().chain(&consumers) {
            // A process without a result was killed; the ledger shows what that cost.
            if let Ok(Err(reason)) = worker.result() {
                return Err(RunError::Child { name: worker.name().to_owned(), reason });
            }
        }
        Ok(self.sum_up(stage, ledger, losses, stuck))
    }

    fn start(
        &self,
        stage: &Stage<'_>,
        resources: &Resources,
        reports: &control::Sender<Report>,
        processes: std::ops::Range<usize>,
    ) -> Result<Vec<Worker>, RunError> {
        let start = |process| {
            let role = self.params.role(process);
            let (Role::Producer(index) | Role::Consumer(index)) = role else {
                return Err(RunError::queue(std::io::Error::other("the main process is the parent itself")));
            };
            let share = resources.share(role, &self.plan).map_err(RunError::os("dup"))?;
            let worker = Process::new(work)
                .args((self.params.clone(), share, process, reports.clone()))
                .name(format!("{}-{index}", role.name()))
                .start_method(self.start_method)
                .die_with_parent(true);
            Ok(stage.supervisor.start(worker)?)
        };
        processes.map(start).collect()
    }

    fn sum_up(
        &self,
        mut stage: Stage<'_>,
        ledger: Ledger,
        losses: Vec<LossRecord>,
        stuck: Vec<Said>,
    ) -> Record {
        let expected = self.params.producers * self.params.items;
        let (missing, produced) = (ledger.missing(), ledger.produced());
        let verdict = match () {
            () if !stuck.is_empty() => Verdict::Deadlock,
            () if !missing.is_empty() || !ledger.twice.is_empty() || produced < expected => Verdict::Crashed,
            () => Verdict::Ok,
        };
        for one in &stuck {
            stage.say("deadlock", one.text.clone());
        }
        for loss in &losses {
            stage.say("lost", lost(loss).text);
        }
        let ate: u64 = ledger.eaten.values().sum();
        let text =
            format!("{produced} of {expected} items put, {ate} eaten, {} missing: {verdict}", missing.len());
        stage.say("end", text);
        let Ledger { eaten, twice, blocked_ns, depth, .. } = ledger;
        let record = PipelineRecord { produced, eaten, missing, twice, losses, stuck, blocked_ns, depth };
        Record {
            scenario: NAME.to_owned(),
            parameters: self.parameters(),
            processes: stage.processes,
            events: stage.events,
            detail: Detail::of(&record),
            verdict,
            summary: summary(&record, verdict),
        }
    }

    fn parameters(&self) -> serde_json::Value {
        let Plan { food, produce, consume, leases, kill } = &self.plan;
        let mut parameters = serde_json::json!({
            "food": food,
            "produce_ms": produce.as_secs_f64() * 1e3,
            "consume_ms": consume.as_secs_f64() * 1e3,
            "end": self.end,
            "kill": kill.map(|(consumer, nth)| format!("consumer-{consumer}@{nth}")),
            "leases": leases,
            "start_method": self.start_method,
        });
        if let (Some(all), Ok(serde_json::Value::Object(params))) =
            (parameters.as_object_mut(), serde_json::to_value(&self.params))
        {
            all.extend(params);
        }
        parameters
    }
}

/// The body of a process of the pipeline.
fn work(
    params: Params,
    share: Share,
    process: usize,
    reports: control::Sender<Report>,
) -> Result<u64, Reason> {
    let tools = share.unpack().map_err(|error| Reason::of(&error))?;
    body::work(&mut Told::new(reports), &params, &tools, process).map_err(|error| Reason::of(&error))
}

fn lost(loss: &LossRecord) -> Said {
    Say::Lost { message: loss.message, pid: loss.pid }.into()
}

sentences! {
    /// How a pipeline ended.
    enum Say {
        Lost { message: u64, pid: Pid } =>
            "message {message} was lost with PID {pid}, which had taken it",
            "消息 {message} 随取走它的进程（PID {pid}）一起丢失了";
        NeverEaten { items: String } => "never eaten: {items}", "从未取用：{items}";
        EatenTwice { items: String } => "eaten twice: {items}", "取用了两次：{items}";
        Once { put: u64, ate: u64 } =>
            "{put} put, {ate} eaten: every item exactly once", "放入 {put} 件，取用 {ate} 件：每件恰好一次";
        NotOnce { put: u64, ate: u64 } =>
            "{put} put, {ate} eaten: not every item exactly once", "放入 {put} 件，取用 {ate} 件：并非每件恰好一次";
        OnceButOneWaits { put: u64, ate: u64 } =>
            "{put} put, {ate} eaten: every item exactly once, but one consumer waited forever",
            "放入 {put} 件，取用 {ate} 件：每件恰好一次，但有一个消费者永远在等待";
        NotOnceAndOneWaits { put: u64, ate: u64 } =>
            "{put} put, {ate} eaten: not every item exactly once, but one consumer waited forever",
            "放入 {put} 件，取用 {ate} 件：并非每件恰好一次，且有一个消费者永远在等待";
        OnceButSomeWait { put: u64, ate: u64, waiting: usize } =>
            "{put} put, {ate} eaten: every item exactly once, but {waiting} consumers waited forever",
            "放入 {put} 件，取用 {ate} 件：每件恰好一次，但有 {waiting} 个消费者永远在等待";
        NotOnceAndSomeWait { put: u64, ate: u64, waiting: usize } =>
            "{put} put, {ate} eaten: not every item exactly once, but {waiting} consumers waited forever",
            "放入 {put} 件，取用 {ate} 件：并非每件恰好一次，且有 {waiting} 个消费者永远在等待";
    }
}

fn summary(record: &PipelineRecord, verdict: Verdict) -> Summary {
    let row = |(name, blocked_ns): (&String, &u64)| {
        let ate = record.eaten.get(name).map(u64::to_string).unwrap_or_default();
        let blocked = format!("{:.1} ms", *blocked_ns as f64 / 1e6);
        vec![Cell::Text(name.clone()), Cell::Number(ate), Cell::Number(blocked)]
    };
    let head = vec!["process", "ate", "blocked on full or empty queue"];
    let table = Table { head, rows: record.blocked_ns.iter().map(row).collect() };
    let items = |items: &[(usize, u64)]| {
        items
            .iter()
            .map(|(producer, number)| format!("producer-{producer}/{number}"))
            .collect::<Vec<_>>()
            .join(" ")
    };
    let depths = record.depth.iter().map(|depth| depth.queued).collect();
    let mut lines = vec![Line::Series { name: "queue depth".to_owned(), values: depths }];
    lines.extend(record.stuck.iter().cloned().map(Line::Text));
    lines.extend(record.losses.iter().map(|loss| Line::Text(lost(loss))));
    if !record.missing.is_empty() {
        lines.push(Line::Text(Say::NeverEaten { items: items(&record.missing) }.into()));
    }
    if !record.twice.is_empty() {
        lines.push(Line::Text(Say::EatenTwice { items: items(&record.twice) }.into()));
    }
    let (put, ate) = (record.produced, record.eaten.values().sum());
    let is_once = record.missing.is_empty() && record.twice.is_empty();
    let say = match (is_once, record.stuck.len()) {
        (true, 0) => Say::Once { put, ate },
        (false, 0) => Say::NotOnce { put, ate },
        (true, 1) => Say::OnceButOneWaits { put, ate },
        (false, 1) => Say::NotOnceAndOneWaits { put, ate },
        (true, waiting) => Say::OnceButSomeWait { put, ate, waiting },
        (false, waiting) => Say::NotOnceAndSomeWait { put, ate, waiting },
    };
    lines.push(Line::Verdict(verdict, say.into()));
    Summary { table: Some(table), lines }
}
