//! The orderings that each processor guarantees.
//!
//! An execution is possible if it is coherent, if read-modify-writes are atomic ([`super::execution`] ensures
//! both), and if there is no cycle in *ordered before*: the pairs below, and what one thread observes of another
//! (a write before the read that reads from it; a read before the write that overwrites what it read; a write
//! before a later one to the same word).
//!
//! - arm64: Pulte, Flur, Deacon, French, Sarkar, Sewell, *Simplifying ARM concurrency: multicopy-atomic axiomatic
//!   and operational models for ARMv8*, POPL 2018, whose names are used here.
//! - x86-64: Owens, Sarkar, Sewell, *A better x86 memory model: x86-TSO*, TPHOLs 2009: everything is ordered except
//!   a write and a later read with no fence and no read-modify-write between them.

use super::recorder::{Dependency, Event, Kind};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Processor {
    Arm64,
    X86,
}

impl Processor {
    pub(crate) const ALL: [Processor; 2] = [Processor::Arm64, Processor::X86];

    /// Whether event `first` of a thread is ordered before its later event `second` for all observers.
    pub(super) fn orders(self, events: &[Event], first: usize, second: usize) -> bool {
        let (a, b) = (&events[first], &events[second]);
        if a.kind == Kind::Fence || b.kind == Kind::Fence {
            return self.fence_orders(a, b);
        }
        match self {
            Processor::Arm64 => barrier_ordered(a, b) || dependency_ordered(events, first, second),
            Processor::X86 => {
                a.kind == Kind::Read || b.kind == Kind::Write || is_locked(events, first, second)
            }
        }
    }

    /// Whether a fence is ordered with an access. A fence is an event between the accesses before and after it.
    fn fence_orders(self, a: &Event, b: &Event) -> bool {
        match (a.kind, self) {
            (Kind::Fence, _) | (Kind::Read, _) => true,
            // DMB ISHLD orders earlier reads only. On x86, `SeqCst` is MFENCE; other fences only restrict the compiler.
            (Kind::Write, Processor::Arm64) => b.orders.release,
            (Kind::Write, Processor::X86) => b.orders.sequential,
        }
    }

    /// Whether a read is ordered after the write of its own thread from which it reads.
    pub(super) fn orders_own_read(self, write: &Event, read: &Event) -> bool {
        // Atomic-ordered-before: [range(rmw)]; rfi; [A|Q].
        self == Processor::Arm64 && write.is_update && read.orders.acquire
    }
}

/// Barrier-ordered-before: po; [L], [A|Q]; po, [L]; po; [A].
fn barrier_ordered(a: &Event, b: &Event) -> bool {
    b.orders.release || a.orders.acquire || (a.orders.release && b.orders.acquire && b.orders.sequential)
}

/// Dependency-ordered-before: addr, data, ctrl; [W], addr; po; [W].
fn dependency_ordered(events: &[Event], first: usize, second: usize) -> bool {
    let depends = |event: &Event| event.depends.iter().any(|(on, _)| *on == first);
    let has_address = |event: &Event| event.depends.contains(&(first, Dependency::Address));
    // The two halves of a read-modify-write stay together.
    let halves = second == first + 1 && events[second].is_update;
    halves
        || depends(&events[second])
        || (events[second].kind == Kind::Write && events[first..second].iter().any(has_address))
}

/// On x86, a read-modify-write is also a fence.
fn is_locked(events: &[Event], first: usize, second: usize) -> bool {
    let is_update = |at: usize| events[at].is_update || events.get(at + 1).is_some_and(|next| next.is_update);
    (first..=second).any(is_update)
}
