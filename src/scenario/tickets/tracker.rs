//! Tracks a free sale by the buyers' reports: who waits for whom, and why too many tickets were sold.

use std::collections::BTreeMap;
use std::fmt;

use super::body::SaleFact;
use super::judge::Outcome;
use super::locks::{LockKind, Promise};
use crate::observe::notes;
use crate::said::{List, Said};
use crate::scenario::run::verdict::Verdict;
use crate::scenario::world::decode;
use crate::scenario::world::told::Report;

/// The state of one sale, as far as the buyers have reported.
#[derive(Debug)]
pub(super) struct SaleTracker {
    lock: LockKind,
    buyers: BTreeMap<String, BuyerState>,
    waited_ns: u64,
}

/// The state of one buyer.
#[derive(Debug, Default)]
struct BuyerState {
    /// The number that it read last.
    read: Option<i64>,
    /// The number that it had read when it sold.
    sold_of: Option<i64>,
    torn: bool,
    /// Whether it has emptied the file and not yet written.
    emptied: bool,
    /// The buyer that had emptied the file when this one read it.
    torn_by: Option<String>,
    /// How many times it holds the lock.
    holds: usize,
    waits: bool,
}

impl SaleTracker {
    pub(super) fn new(lock: LockKind) -> Self {
        Self { lock, buyers: BTreeMap::new(), waited_ns: 0 }
    }

    /// The total waiting time of all buyers, in nanoseconds.
    pub(super) fn waited_ns(&self) -> u64 {
        self.waited_ns
    }

    /// Records a buyer's report.
    pub(super) fn record(&mut self, report: &Report) {
        self.waited_ns += report.waited_ns;
        let emptied = self.buyers.iter().find(|(_, buyer)| buyer.emptied).map(|(name, _)| name.clone());
        let buyer = self.buyers.entry(report.event.process.clone()).or_default();
        match &report.event.fact {
            Some(notes::Fact::LockAwaited(_)) => buyer.waits = true,
            Some(notes::Fact::Locked(_)) => (buyer.waits, buyer.holds) = (false, buyer.holds + 1),
            Some(notes::Fact::Unlocked(_)) => buyer.holds = buyer.holds.saturating_sub(1),
            _ => {}
        }
        match decode(&report.observation) {
            Some(SaleFact::Read(count)) => buyer.read = Some(count),
            Some(SaleFact::TornRead) => (buyer.torn, buyer.torn_by) = (true, emptied),
            Some(SaleFact::Emptied) => buyer.emptied = true,
            Some(SaleFact::Sold(_)) => (buyer.sold_of, buyer.emptied) = (buyer.read, false),
            Some(SaleFact::NoneSold(_)) => buyer.emptied = false,
            None => {}
        }
    }

    /// Whether none of the `living` buyers can ever continue: each has reported that it waits for the lock, and its
    /// holder is either waiting too, or dead and has left it locked.
    ///
    /// A release is reported before it is done, so a buyer whose last report says that it waits is not releasing.
    pub(super) fn is_stuck(&self, living: &[&str]) -> bool {
        let waits = |name: &&str| self.buyers.get(*name).is_some_and(|buyer| buyer.waits);
        let outlives = self.lock.promise == Promise::RightUntilKilled;
        let mut holders = self.buyers.iter().filter(|(_, buyer)| buyer.holds > 0);
        let is_held = holders.any(|(name, buyer)| {
            let lives = living.contains(&name.as_str());
            if lives { buyer.waits } else { outlives }
        });
        !living.is_empty() && living.iter().all(waits) && is_held
    }

    /// A sentence that says for whom a stuck buyer waits.
    pub(super) fn waits_for(&self, name: &str) -> String {
        let holders = self.holders().map(str::to_owned).collect();
        Wait { name: name.to_owned(), holders }.to_string()
    }

    fn holders(&self) -> impl Iterator<Item = &str> {
        self.buyers.iter().filter(|(_, buyer)| buyer.holds > 0).map(|(name, _)| name.as_str())
    }

    /// What happened.
    pub(super) fn sentence(&self, outcome: &Outcome, stuck: &[String]) -> Said {
        let Outcome { initial, sold, .. } = *outcome;
        let left = Left(outcome.left);
        let say = match outcome.verdict {
            Verdict::Ok => Say::AccountedFor { sold, initial, left },
            Verdict::Oversold => match self.same_reads() {
                Some((count, names)) => Say::SameTicket { sold, initial, names, count },
                None => Say::Oversold { sold, initial },
            },
            Verdict::LostUpdate => match self.same_reads() {
                Some((count, names)) => Say::LostBySame { sold, initial, left, names, count },
                None => Say::Lost { sold, initial, left },
            },
            Verdict::TornRead => self.torn_read(left),
            Verdict::Deadlock => {
                // The lock's holders come first.
                let mut stuck: Vec<&String> = stuck.iter().collect();
                stuck.sort_by_key(|name| !self.holders().any(|holder| holder == name.as_str()));
                let holders: Vec<String> = self.holders().map(str::to_owned).collect();
                let wait = |name: &String| Wait { name: name.clone(), holders: holders.clone() };
                Say::Deadlock { waits: List(stuck.into_iter().map(wait).collect()) }
            }
            Verdict::Crashed | Verdict::Unproven => Say::Ended { sold, initial, left },
        };
        say.into()
    }

    /// Which buyers sold after reading the same number, and that number.
    fn same_reads(&self) -> Option<(i64, List<String>)> {
        let mut readers: BTreeMap<i64, Vec<String>> = BTreeMap::new();
        for (name, buyer) in &self.buyers {
            if let Some(count) = buyer.sold_of {
                readers.entry(count).or_default().push(name.clone());
            }
        }
        let shared = readers.into_iter().filter(|(_, names)| names.len() > 1);
        shared.max_by_key(|(_, names)| names.len()).map(|(count, names)| (count, List(names)))
    }

    fn torn_read(&self, left: Left) -> Say {
        let torn: Vec<String> =
            self.buyers.iter().filter(|(_, buyer)| buyer.torn).map(|(name, _)| name.clone()).collect();
        if torn.is_empty() {
            return Say::Unfinished { left };
        }
        let names = List(torn);
        let mut by: Vec<&str> = self.buyers.values().filter_map(|buyer| buyer.torn_by.as_deref()).collect();
        by.dedup();
        match by[..] {
            [one] => Say::TornBy { names, by: one.to_owned() },
            _ => Say::Torn { names },
        }
    }
}

sentences! {
    /// What happened in a sale.
    enum Say {
        AccountedFor { sold: i64, initial: i64, left: Left } =>
            "{sold} of {initial} sold, {left}: every ticket is accounted for.",
            "{initial} 张票卖出 {sold} 张，{left:#}：每张票都对得上。";
        Oversold { sold: i64, initial: i64 } =>
            "{sold} buyers have a ticket, but there were {initial}.", "{sold} 个买家拿到了票，而票只有 {initial} 张。";
        SameTicket { sold: i64, initial: i64, names: List<String>, count: i64 } =>
            "{sold} buyers have a ticket, but there were {initial}: {names} read {count} left and each sold that ticket.",
            "{sold} 个买家拿到了票，而票只有 {initial} 张：{names:#} 都读到还剩 {count} 张，各自卖出了那张票。";
        Lost { sold: i64, initial: i64, left: Left } =>
            "{sold} of {initial} sold, yet {left}.", "{initial} 张票卖出 {sold} 张，{left:#}：有一次写入被覆盖了。";
        LostBySame { sold: i64, initial: i64, left: Left, names: List<String>, count: i64 } =>
            "{sold} of {initial} sold, yet {left}: {names} read {count} left and each sold that ticket.",
            "{initial} 张票卖出 {sold} 张，{left:#}：{names:#} 都读到还剩 {count} 张，各自卖出了那张票。";
        Unfinished { left: Left } => "{left}: the last writer did not finish.", "{left:#}：最后的写入者没有写完。";
        TornBy { names: List<String>, by: String } =>
            "{names} read the file after {by} had emptied it and before it was written.",
            "{by} 已清空文件、尚未写好时，{names:#} 读了它。";
        Torn { names: List<String> } =>
            "{names} read the file after another buyer had emptied it and before it was written.",
            "别的买家已清空文件、尚未写好时，{names:#} 读了它。";
        Deadlock { waits: List<Wait> } => "{waits}.", "{waits:#}。";
        Ended { sold: i64, initial: i64, left: Left } =>
            "{sold} of {initial} sold, {left}.", "{initial} 张票卖出 {sold} 张，{left:#}。";
    }
}

/// What the stock file says at the end.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Left(Option<i64>);

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0, f.alternate()) {
            (Some(left), false) => write!(f, "{left} left"),
            (Some(left), true) => write!(f, "文件里还剩 {left} 张"),
            (None, false) => f.write_str("the file contains no number"),
            (None, true) => f.write_str("文件里没有数字"),
        }
    }
}

/// A buyer that waits forever, and the holders of the lock.
#[derive(Debug, Clone, PartialEq)]
struct Wait {
    name: String,
    holders: Vec<String>,
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let itself = if f.alternate() { "自己" } else { "itself" };
        let holders = self.holders.iter().map(|holder| if *holder == self.name { itself } else { holder });
        let holders: Vec<&str> = holders.collect();
        match f.alternate() {
            false => write!(f, "{} waits forever for {}", self.name, holders.join(" and ")),
            true => write!(f, "{} 永远在等 {}", self.name, holders.join("、")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::run::record::Event;
    use crate::scenario::world::encode;

    fn report(name: &str, fact: Option<notes::Fact>, seen: Option<SaleFact>) -> Report {
        let event = Event { fact, ..Event::now(name, "", "") };
        Report { event, observation: seen.map(|seen| encode(&seen)).unwrap_or_default(), waited_ns: 0 }
    }

    #[test]
    fn an_oversold_ticket_is_explained_by_those_who_read_the_same_number() {
        let mut tracker = SaleTracker::new("none".parse().unwrap());
        for (name, fact) in [
            ("user0", SaleFact::Read(2)),
            ("user0", SaleFact::Sold(1)),
            ("user1", SaleFact::Read(1)),
            ("user2", SaleFact::Read(1)),
            ("user1", SaleFact::Sold(0)),
            ("user2", SaleFact::Sold(0)),
        ] {
            tracker.record(&report(name, None, Some(fact)));
        }
        let outcome =
            Outcome { initial: 2, sold: 3, left: Some(0), torn_reads: 0, verdict: Verdict::Oversold };
        let sentence = tracker.sentence(&outcome, &[]).text;
        assert!(sentence.contains("user1, user2 read 1 left and each sold that ticket"), "{sentence}");
    }

    #[test]
    fn only_buyers_that_all_wait_for_a_holder_that_never_releases_are_stuck() {
        let (locked, waits) = (notes::Fact::Locked("lock".into()), notes::Fact::LockAwaited("lock".into()));
        let mut tracker = SaleTracker::new("flock".parse().unwrap());
        tracker.record(&report("user0", Some(locked.clone()), None));
        tracker.record(&report("user1", Some(waits.clone()), None));
        assert!(!tracker.is_stuck(&["user0", "user1"]), "the holder can continue");
        assert!(!tracker.is_stuck(&["user1"]), "a file lock is released when its holder dies");
        tracker.record(&report("user0", Some(waits), None));
        assert!(tracker.is_stuck(&["user0", "user1"]));
        assert!(tracker.waits_for("user0").ends_with("for itself"));
    }
}
