//! What happens to a message whose lease ends without [`super::Lease::done`].

/// Where a returned message waits for its next receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReturnTo {
    /// Behind every message that is queued when it returns, so that a message that fails repeatedly does not
    /// starve the others.
    #[default]
    Tail,
    /// Ahead of every queued message, which keeps the order of sending.
    Head,
}

/// The lease policy of a queue, the same for every process that uses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Policy {
    pub(super) return_to: ReturnTo,
    /// Deliveries after which a returned message becomes a dead letter; 0 for no limit.
    pub(super) max_deliveries: u32,
}

impl Policy {
    /// The policy as one word of the header.
    pub(super) fn word(self) -> u64 {
        u64::from(self.max_deliveries) << 32 | u64::from(self.return_to == ReturnTo::Head)
    }

    pub(super) fn from_word(word: u64) -> Option<Self> {
        let return_to = match word & 0xFFFF_FFFF {
            0 => ReturnTo::Tail,
            1 => ReturnTo::Head,
            _ => return None,
        };
        Some(Policy { return_to, max_deliveries: (word >> 32) as u32 })
    }
}
