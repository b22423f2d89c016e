//! Producers and consumers around one bounded queue: who makes what, who takes it, and who waits forever?

/// The code of each process.
pub mod body;
/// The parent of a free run.
mod coordinator;
/// The ends of the queue that the processes hold.
mod ends;
/// The items.
pub mod item;
/// Which items have been put, taken and eaten.
mod ledger;
/// The queue that loses wake-ups.
pub mod lost_wakeup;
/// The parameters.
pub mod params;
/// The shared resources.
pub mod resources;
/// The pipeline in a free run.
pub mod run;

use std::path::Path;
use std::{fmt, io};

use clap::ArgMatches;

use super::contract::{Act, ParamsError, Verb};
use super::contract::{History, Scenario};
use super::run::verdict::Verdict;
use super::world::{World, decode};
use crate::explore::engine::Trace;
use crate::explore::step::letter;
use crate::said::{List, Said};
use item::Item;
use params::{Params, Plan, QueueKind, Role};
use resources::{Resources, Share, Tools};

/// Producers and consumers.
#[derive(Debug)]
pub struct Pipeline;

sentences! {
    /// How an execution went wrong.
    enum Say {
        Deadlock { waits: List<Wait> } => "no process can continue: {waits}", "没有进程能继续：{waits:#}";
    }
}

/// A process that waits forever.
#[derive(Debug, Clone, PartialEq)]
struct Wait {
    who: char,
    step: String,
    on: On,
}

/// What it waits for.
#[derive(Debug, Clone, Copy, PartialEq)]
enum On {
    Wakeup,
    Item,
    Room,
    Others,
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { who, step, on } = self;
        let [en, zh] = match on {
            On::Wakeup => ["to be woken, and no process will wake it", "等待被唤醒，而没有进程会唤醒它"],
            On::Item => ["for an item that no process will put", "等待一件没有进程会放入的物品"],
            On::Room => ["for room that no process will make", "等待没有进程会腾出的空位"],
            On::Others => ["for others that wait", "等待其他也在等待的进程"],
        };
        match f.alternate() {
            false => write!(f, "{who} waits at {step} {en}"),
            true => write!(f, "{who} 停在 {step}，{zh}"),
        }
    }
}

impl Scenario for Pipeline {
    const NAME: &'static str = params::NAME;
    const ABOUT: &'static str =
        "producers and consumers around a bounded queue: kills, leases, lost wake-ups, deadlock";
    const STEPS: &'static [&'static str] = &["put", "take", "join", "wake", "look", "sleep", "get-up"];
    const NO_KILLS: Option<&'static str> =
        Some("a killed producer is never joined, so every schedule would deadlock");

    type Params = Params;
    type Resources = Resources;
    type Share = Share;
    type Tools = Tools;
    type End = u64;
    type Detail = run::PipelineRecord;

    fn roles(params: &Params) -> Vec<&'static str> {
        (0..params.processes()).map(|process| params.role(process).name()).collect()
    }

    fn open(params: &Params, _: &Path) -> io::Result<Resources> {
        Resources::create(params)
    }

    fn share(params: &Params, resources: &Resources, process: usize) -> io::Result<Share> {
        resources.share(params.role(process), &Plan::default())
    }

    fn unpack(_: &Params, share: Share, _: usize) -> io::Result<Tools> {
        share.unpack()
    }

    fn reset(_: &Params, resources: &Resources) -> io::Result<()> {
        resources.memory.reset();
        while resources.receiver.try_recv().is_ok() {}
        Ok(())
    }

    fn body<W: World>(world: &mut W, params: &Params, tools: &Tools, process: usize) -> io::Result<u64> {
        body::work(world, params, tools, process)
    }

    fn judge(params: &Params, _: &Resources, history: History<'_, u64>) -> io::Result<Verdict> {
        let expected = params.producers * params.items;
        let (is_stuck, taken) = match history {
            History::Steps(trace) => {
                let items = trace.events.iter().filter_map(|event| decode::<Item>(&event.observation));
                let taken = items.filter(|item| *item != Item::Sentinel).count() as u64;
                (trace.deadlocked(), taken)
            }
            History::Ends(ends) => {
                let consumers = ends
                    .iter()
                    .enumerate()
                    .filter(|(process, _)| matches!(params.role(*process), Role::Consumer(_)));
                (ends.contains(&None), consumers.filter_map(|(_, taken)| *taken).sum())
            }
        };
        Ok(match (is_stuck, taken == expected) {
            (true, _) => Verdict::Deadlock,
            (_, false) => Verdict::LostUpdate,
            _ => Verdict::Ok,
        })
    }

    fn broken_at(params: &Params, trace: &Trace) -> Option<(usize, Said)> {
        let stuck = trace.stuck.iter().enumerate().filter_map(|(process, step)| {
            let step = step.as_ref()?;
            let on = match params.role(process) {
                Role::Consumer(_) if params.queue == QueueKind::LostWakeup => On::Wakeup,
                Role::Consumer(_) => On::Item,
                Role::Producer(_) => On::Room,
                Role::Main => On::Others,
            };
            Some(Wait { who: letter(process), step: step.to_string(), on })
        });
        let waits: Vec<_> = stuck.collect();
        (!waits.is_empty()).then(|| (trace.events.len(), Say::Deadlock { waits: List(waits) }.into()))
    }

    fn state(params: &Params, resources: &Resources) -> Vec<(&'static str, String)> {
        let queued = match params.queue {
            QueueKind::Ours => resources.receiver.len(),
            QueueKind::LostWakeup => resources.memory.len(),
        };
        let mut state = vec![("queued", format!("{queued} of {}", params.capacity))];
        if params.queue == QueueKind::LostWakeup {
            let asleep = (0..params.processes()).filter(|process| resources.memory.sleeps(*process));
            let asleep: Vec<String> = asleep.map(|process| letter(process).to_string()).collect();
            let asleep = if asleep.is_empty() { "none".to_owned() } else { asleep.join(" ") };
            state.push(("asleep", asleep));
        }
        state
    }

    fn arguments(verb: Verb) -> Result<clap::Command, &'static str> {
        Ok(params::arguments(verb))
    }

    fn params(verb: Verb, matches: &ArgMatches) -> Result<Params, ParamsError> {
        params::params(verb, matches)
    }

    fn act(matches: &ArgMatches) -> Result<Act, ParamsError> {
        let pipeline = params::pipeline(matches)?;
        Ok(Act::new(move |stage| pipeline.run(stage)))
    }
}
