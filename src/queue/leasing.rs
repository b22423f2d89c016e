//! Operations on leases that require the receive lock.

use super::error::Unreadable;
use super::layout::TAIL;
use super::leases::{self, Holder, Leased};
use super::members;
use super::policy::ReturnTo;
use super::process_id::Watched;
use super::receiving::Receiving;
use std::sync::atomic::Ordering;

impl Receiving<'_> {
    /// Leases the first queued message, which consists of `bytes`, to a member.
    pub(super) fn lease(&mut self, member: usize, bytes: &[u8]) -> Result<Leased, Unreadable> {
        if let Some(handles) = &self.handles {
            self.keep_handles(bytes, handles)?;
            self.spend_parcel(self.head);
        }
        let leased = leases::write(self.memory, self.head, member, bytes, self.handles.is_some())?;
        self.take(1);
        Ok(leased)
    }

    /// Leases a returned message to a member.
    pub(super) fn lease_again(&self, member: usize, returned: Leased) -> Leased {
        let deliveries = returned.deliveries.saturating_add(1);
        let leased = Leased { deliveries, holder: Holder::Member(member), ..returned };
        leases::set_holder(self.memory, leased);
        leased
    }

    /// Whether a lease is unchanged since its holder received it.
    pub(super) fn is_current(&self, leased: Leased) -> bool {
        leases::get(self.memory, leased.index) == Some(leased)
    }

    /// Frees the lease of a message that is done or was taken for good.
    pub(super) fn finish(&self, leased: Leased) {
        self.wake_joiners_before_settling(leased.index);
        if leases::is_marked(self.memory, leased.index) {
            self.spend_parcel(leased.number);
        }
        leases::free(self.memory, leased.index);
    }

    /// Returns the message to the queue, or makes it a dead letter if it has reached the delivery limit.
    pub(super) fn return_lease(&self, leased: Leased, to: ReturnTo) {
        let max = self.memory.layout.policy.max_deliveries;
        if max != 0 && leased.deliveries >= max {
            return self.make_dead_letter(leased);
        }
        let turn = match to {
            ReturnTo::Head => 0,
            // Messages that are queued now come first.
            ReturnTo::Tail => self.memory.word(TAIL).load(Ordering::Acquire),
        };
        leases::set_returned(self.memory, leased, turn);
    }

    /// Makes the message a dead letter.
    pub(super) fn make_dead_letter(&self, leased: Leased) {
        self.wake_joiners_before_settling(leased.index);
        leases::set_holder(self.memory, Leased { holder: Holder::DeadLetter, ..leased });
    }

    /// Returns the leases of processes that have ended to the queue. True if there were any.
    pub(super) fn sweep(&self) -> bool {
        let dead: Vec<usize> = members::leasing(self.memory)
            .filter(|(_, process)| matches!(process.watch(), Watched::Dead))
            .map(|(member, _)| member)
            .collect();
        let to = self.memory.layout.policy.return_to;
        let mut any = false;
        for leased in leases::all(self.memory) {
            if matches!(leased.holder, Holder::Member(member) if dead.contains(&member)) {
                self.return_lease(leased, to);
                any = true;
            }
        }
        dead.into_iter().for_each(|member| members::record_death(self.memory, member));
        any
    }
}
