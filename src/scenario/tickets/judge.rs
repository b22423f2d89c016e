//! The verdict on a sale, from the facts that its steps and its buyers report.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::body::{SaleFact, Visit};
use super::params::Sale;
use crate::explore::engine::Trace;
use crate::explore::step::{Event, letter};
use crate::said::{List, Said};
use crate::scenario::run::verdict::Verdict;
use crate::scenario::world::decode;

/// The outcome of a sale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Outcome {
    /// Tickets in stock before the sale.
    pub initial: i64,
    /// How many buyers believe that they bought one.
    pub sold: i64,
    /// The number in the stock file afterwards; null if it contains none.
    pub left: Option<i64>,
    /// How many buyers read a half-written file and gave up.
    pub torn_reads: usize,
    /// `ok` if the sales account for the missing tickets and do not exceed the stock.
    pub verdict: Verdict,
}

/// The fact that a step reports; `None` if its buyer was killed there.
fn fact(event: &Event) -> Option<SaleFact> {
    decode(&event.observation)
}

/// The verdict on an execution at the gate that left `left` tickets in the file.
pub(super) fn by_steps(sale: &Sale, trace: &Trace, left: Option<i64>) -> Verdict {
    let facts = || trace.events.iter().filter_map(fact);
    let sold = facts().filter(|fact| matches!(fact, SaleFact::Sold(_))).count();
    let torn = facts().any(|fact| fact == SaleFact::TornRead);
    if trace.deadlocked() { Verdict::Deadlock } else { of_sale(sale.stock, sold as i64, left, torn) }
}

/// The verdict on a trial in which the buyers' visits ended like this; `None` for one that never ended.
pub(super) fn by_visits(sale: &Sale, visits: &[Option<Visit>], left: Option<i64>) -> Verdict {
    let count = |wanted: Visit| visits.iter().flatten().filter(|visit| **visit == wanted).count();
    if visits.contains(&None) {
        return Verdict::Deadlock;
    }
    of_sale(sale.stock, count(Visit::Bought) as i64, left, count(Visit::Torn) > 0)
}

/// The verdict on a sale of `initial` tickets with `sold` sales, after which the file says `left` (`None` if it is
/// half-written); `torn` means that a buyer read a half-written file.
pub(super) fn of_sale(initial: i64, sold: i64, left: Option<i64>, torn: bool) -> Verdict {
    if sold > initial {
        Verdict::Oversold
    } else if left.is_some_and(|left| left != initial - sold) {
        Verdict::LostUpdate
    } else if torn || left.is_none() {
        Verdict::TornRead
    } else {
        Verdict::Ok
    }
}

/// The index of the step that broke the invariant, and how.
pub(super) fn broken_at(sale: &Sale, trace: &Trace) -> Option<(usize, Said)> {
    let mut sold = 0;
    // For each buyer, the number of writes when it last read.
    let mut known = vec![0; trace.stuck.len()];
    let mut writes: Vec<(usize, usize)> = Vec::new();
    for (position, event) in trace.events.iter().enumerate() {
        if event.choice.kill {
            continue;
        }
        let (process, who) = (event.choice.index(), letter(event.choice.index()));
        if fact(event) == Some(SaleFact::TornRead) {
            let by = writes.last().map(|(_, by)| letter(*by));
            let how = by.map_or(Say::TornRead { who }, |by| Say::TornReadOf { who, by });
            return Some((position, how.into()));
        }
        match event.step.name.as_str() {
            "read" => known[process] = writes.len(),
            "write" | "truncate" => {
                let lost = writes[known[process]..].iter().find(|(_, by)| *by != process);
                if matches!(fact(event), Some(SaleFact::Sold(_))) {
                    sold += 1;
                    if sold > sale.stock {
                        let (ticket, of) = (sold, sale.stock);
                        return Some((position, Say::Sells { who, ticket, of }.into()));
                    }
                }
                if let Some((at, by)) = lost
                    && event.step.name.as_str() == "write"
                    && sale.stock > 1
                {
                    let by = letter(*by);
                    return Some((position, Say::Overwrites { who, by, step: at + 1 }.into()));
                }
                writes.push((position, process));
            }
            _ => {}
        }
    }
    if trace.deadlocked() {
        let waits = trace.waits().into_iter();
        let waits = List(waits.map(|wait| Wait { who: wait.process, holders: wait.holders }).collect());
        return Some((trace.events.len(), Say::Deadlock { waits }.into()));
    }
    None
}

sentences! {
    /// How a step broke the invariant.
    enum Say {
        TornRead { who: char } => "{who} reads a half-written file", "{who} 读到了只写了一半的文件";
        TornReadOf { who: char, by: char } =>
            "{who} reads a half-written file that {by} has emptied and not yet written",
            "{who} 读到了只写了一半的文件：{by} 已清空它，尚未写好";
        Sells { who: char, ticket: i64, of: i64 } =>
            "{who} sells ticket {ticket} of {of}", "{who} 卖出了不存在的票：第 {ticket} 张，而总共只有 {of} 张";
        Overwrites { who: char, by: char, step: usize } =>
            "{who} overwrites what {by} wrote at step {step}", "{who} 覆盖了 {by} 在第 {step} 步写入的内容";
        Deadlock { waits: List<Wait> } => "no process can continue: {waits}", "没有进程能继续：{waits:#}";
    }
}

/// A process that waits, and the holders of the lock, each with whether it is dead.
#[derive(Debug, Clone, PartialEq)]
struct Wait {
    who: usize,
    holders: Vec<(usize, bool)>,
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let killed = if f.alternate() { "（已被杀死）" } else { " (killed)" };
        let holder = |(holder, dead): &(usize, bool)| {
            format!("{}{}", letter(*holder), if *dead { killed } else { "" })
        };
        let holders: Vec<String> = self.holders.iter().map(holder).collect();
        match f.alternate() {
            false => write!(f, "{} waits for {}", letter(self.who), holders.join(" and ")),
            true => write!(f, "{} 在等 {}", letter(self.who), holders.join("、")),
        }
    }
}
