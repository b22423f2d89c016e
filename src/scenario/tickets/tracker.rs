//! Tracks a free sale by the buyers' reports: who waits for whom, and why too many tickets were sold.

use std::collections::BTreeMap;

use super::body::SaleFact;
use super::judge::Outcome;
use super::locks::{LockKind, Promise};
use crate::observe::notes;
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
        let holders: Vec<&str> = self.holders().collect();
        let holders = holders.iter().map(|holder| if *holder == name { "itself" } else { holder });
        format!("{name} waits forever for {}", holders.collect::<Vec<_>>().join(" and "))
    }

    fn holders(&self) -> impl Iterator<Item = &str> {
        self.buyers.iter().filter(|(_, buyer)| buyer.holds > 0).map(|(name, _)| name.as_str())
    }

    /// One sentence that says what happened.
    pub(super) fn sentence(&self, outcome: &Outcome, stuck: &[String]) -> String {
        let Outcome { initial, sold, .. } = outcome;
        let left = outcome
            .left
            .map_or_else(|| "the file contains no number".to_owned(), |left| format!("{left} left"));
        match outcome.verdict {
            Verdict::Ok => format!("{sold} of {initial} sold, {left}: every ticket is accounted for."),
            Verdict::Oversold => {
                format!("{sold} buyers have a ticket, but there were {initial}{}.", self.same_reads())
            }
            Verdict::LostUpdate => format!("{sold} of {initial} sold, yet {left}{}.", self.same_reads()),
            Verdict::TornRead => self.torn_read(&left),
            Verdict::Deadlock => {
                // The lock's holders come first.
                let mut stuck: Vec<&String> = stuck.iter().collect();
                stuck.sort_by_key(|name| !self.holders().any(|holder| holder == name.as_str()));
                let all: Vec<String> = stuck.iter().map(|name| self.waits_for(name)).collect();
                shortened(&all, "; ") + "."
            }
            Verdict::Crashed | Verdict::Unproven => format!("{sold} of {initial} sold, {left}."),
        }
    }

    /// Which buyers sold after reading the same number.
    fn same_reads(&self) -> String {
        let mut readers: BTreeMap<i64, Vec<String>> = BTreeMap::new();
        for (name, buyer) in &self.buyers {
            if let Some(count) = buyer.sold_of {
                readers.entry(count).or_default().push(name.clone());
            }
        }
        let most =
            readers.into_iter().filter(|(_, names)| names.len() > 1).max_by_key(|(_, names)| names.len());
        most.map_or(String::new(), |(count, names)| {
            format!(": {} read {count} left and each sold that ticket", shortened(&names, ", "))
        })
    }

    fn torn_read(&self, left: &str) -> String {
        let torn: Vec<String> =
            self.buyers.iter().filter(|(_, buyer)| buyer.torn).map(|(name, _)| name.clone()).collect();
        if torn.is_empty() {
            return format!("{left}: the last writer did not finish.");
        }
        let mut by: Vec<&str> = self.buyers.values().filter_map(|buyer| buyer.torn_by.as_deref()).collect();
        by.dedup();
        let by = match by[..] {
            [one] => one.to_owned(),
            _ => "another buyer".to_owned(),
        };
        format!(
            "{} read the file after {by} had emptied it and before it was written.",
            shortened(&torn, ", ")
        )
    }
}

/// The first items of a long list, and the number of the others.
fn shortened(all: &[String], separator: &str) -> String {
    const SHOWN: usize = 3;
    match all.len().checked_sub(SHOWN) {
        None | Some(0) => all.join(separator),
        Some(more) => format!("{}{separator}and {more} more", all[..SHOWN].join(separator)),
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
        let sentence = tracker.sentence(&outcome, &[]);
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
