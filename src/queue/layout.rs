//! Where everything lies in a queue's memory.
//!
//! ```text
//! header   what the queue is                                never changes
//! sending  lock and notes of the senders                    guarded by the send lock
//! TAIL     how many messages were ever sent                 written under the send lock
//! taking   lock and notes of the receivers                  guarded by the receive lock
//! HEAD     how many were ever taken; FREED: of how many     written under the receive lock
//!          the room may be used again
//! EPOCH    grows whenever an end is closed in order; beside it where each side last waited
//! slots    one a place in the queue: where its message is, or the message itself if it is small
//! members  one a handle that receives: who took what last
//! leases   one a message that is leased: a copy, and who holds it
//! stream   bytes of messages of medium size, one behind the other, round and round
//! (mapped up to here)
//! large    one region a slot, of the size limit: bytes of any other message
//! leased   one region a lease, likewise
//! ```
//!
//! The last two are as large as the limit times the capacity, yet take no memory where nothing is.

use super::error::{AttachError, CreateError};
use crate::sys::mmap::page_size;
use std::os::unix::fs::MetadataExt;

/// Words of the header.
pub(super) mod header {
    pub(in crate::queue) const MAGIC: usize = 0;
    pub(in crate::queue) const VERSION: usize = 8;
    pub(in crate::queue) const CAPACITY: usize = 16;
    pub(in crate::queue) const LIMIT: usize = 24;
    pub(in crate::queue) const PAGE: usize = 32;
    pub(in crate::queue) const PID_NAMESPACE: usize = 40;
    pub(in crate::queue) const LEN: usize = 48;
}

// Words that different processors write to lie on lines of their own; processors fetch two at once.
/// Two words of 32 bits, as [`RECV_LOCK`]: see [`crate::sync::robust_mutex`].
pub(super) const SEND_LOCK: usize = 128;
/// What the senders last saw of [`FREED`].
pub(super) const FREED_SEEN: usize = 136;
/// Whether a receiver may be asleep.
pub(super) const RECEIVERS_ASLEEP: usize = 144;
/// Whether the queue was closed.
pub(super) const CLOSED: usize = 152;
/// Where in the stream the next message begins; counts on for ever.
pub(super) const STREAM_NEXT: usize = 160;
/// What the senders last saw of [`STREAM_FREED`].
pub(super) const STREAM_FREED_SEEN: usize = 168;
/// How much of the stream, from its beginning, has memory.
pub(super) const STREAM_RESERVED: usize = 176;
pub(super) const TAIL: usize = 256;
pub(super) const RECV_LOCK: usize = 384;
/// What the receivers last saw of [`TAIL`].
pub(super) const TAIL_SEEN: usize = 392;
/// Whether a sender may be asleep because the queue is full.
pub(super) const SENDERS_ASLEEP: usize = 400;
/// Whether a sender may be asleep until everything is done.
pub(super) const JOINERS_ASLEEP: usize = 408;
/// All leases from this one on are free.
pub(super) const LEASES_END: usize = 416;
/// All members from this one on are free.
pub(super) const MEMBERS_END: usize = 424;
/// When somebody last looked whether a holder of a lease has died, in clock nanoseconds.
pub(super) const LAST_SWEEP: usize = 432;
pub(super) const HEAD: usize = 512;
pub(super) const FREED: usize = 520;
/// Up to where the stream's bytes may be used again.
pub(super) const STREAM_FREED: usize = 528;
pub(super) const EPOCH: usize = 640;
/// The processor, and one, on which a sender last waited; and a receiver. Written only when it changes.
pub(super) const SENDERS_CPU: usize = 648;
pub(super) const RECEIVERS_CPU: usize = 656;
const SLOTS: usize = 768;

/// Bytes of a slot: one word that says where the message is, and room for a small one.
pub(super) const SLOT: usize = 32;
pub(super) const MEMBER: usize = 64;
pub(super) const LEASE: usize = 64;

/// The most items that a queue can be made for.
pub const MAX_CAPACITY: usize = 1 << 24;
/// The most bytes that a message can be allowed to have.
pub const MAX_MESSAGE_LIMIT: u64 = 1 << 32;
/// How many bytes a message may have unless another limit is chosen.
pub const DEFAULT_MESSAGE_LIMIT: u64 = 64 << 20;
/// How many handles can receive from one queue at a time.
pub const MAX_MEMBERS: usize = 1024;
/// How many messages of one queue can be leased at a time.
pub const MAX_LEASES: usize = 1024;

const MAGIC: u64 = u64::from_le_bytes(*b"proclabQ");
const VERSION: u64 = 2;
const MIN_STREAM: u64 = 64 << 10;
const MAX_STREAM: u64 = 1 << 30;

/// The places that depend on the queue's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) capacity: u64,
    pub(super) limit: u64,
    pub(super) page: u64,
    pub(super) members: usize,
    pub(super) leases: usize,
    pub(super) stream: usize,
    /// Bytes of the stream: a power of two.
    pub(super) stream_len: u64,
    /// Bytes of one region for a message of any size.
    stride: u64,
    large: u64,
    leased: u64,
    pub(super) file_len: u64,
}

impl Layout {
    pub(super) fn new(capacity: usize, limit: u64) -> Result<Self, CreateError> {
        if !(1..=MAX_CAPACITY).contains(&capacity) {
            return Err(CreateError::Capacity { capacity, max: MAX_CAPACITY });
        }
        if !(1..=MAX_MESSAGE_LIMIT).contains(&limit) {
            return Err(CreateError::MessageLimit { limit, max: MAX_MESSAGE_LIMIT });
        }
        Ok(Self::compute(capacity, limit, page_size()))
    }

    fn compute(capacity: usize, limit: u64, page: u64) -> Self {
        let members = (SLOTS + capacity * SLOT).next_multiple_of(128);
        let leases = members + MAX_MEMBERS * MEMBER;
        let stream = (leases + MAX_LEASES * LEASE).next_multiple_of(page as usize);
        let capacity = capacity as u64;
        let stream_len = (capacity * 2048).clamp(MIN_STREAM, MAX_STREAM).next_power_of_two();
        let stride = limit.next_multiple_of(page);
        let large = stream as u64 + stream_len;
        let leased = large + capacity * stride;
        let file_len = leased + MAX_LEASES as u64 * stride;
        Layout { capacity, limit, page, members, leases, stream, stream_len, stride, large, leased, file_len }
    }

    /// How much of the file, from its beginning, is mapped.
    pub(super) fn mapped(&self) -> usize {
        self.large as usize
    }

    #[inline]
    pub(super) fn slot(&self, number: u64) -> usize {
        // A division costs as much as a lock: powers of two do without.
        let mask = self.capacity - 1;
        let index = if self.capacity & mask == 0 { number & mask } else { number % self.capacity };
        SLOTS + index as usize * SLOT
    }

    #[inline]
    pub(super) fn member(&self, index: usize) -> usize {
        self.members + index * MEMBER
    }

    pub(super) fn lease(&self, index: usize) -> usize {
        self.leases + index * LEASE
    }

    pub(super) fn large(&self, number: u64) -> u64 {
        self.large + number % self.capacity * self.stride
    }

    pub(super) fn leased(&self, index: usize) -> u64 {
        self.leased + index as u64 * self.stride
    }

    pub(super) fn header(&self) -> [u64; header::LEN / 8] {
        let mut words = [0; header::LEN / 8];
        words[header::MAGIC / 8] = MAGIC;
        words[header::VERSION / 8] = VERSION;
        words[header::CAPACITY / 8] = self.capacity;
        words[header::LIMIT / 8] = self.limit;
        words[header::PAGE / 8] = self.page;
        words[header::PID_NAMESPACE / 8] = pid_namespace();
        words
    }

    /// The layout that a header tells of, if it tells the truth.
    pub(super) fn from_header(bytes: &[u8; header::LEN], file_len: u64) -> Result<Self, AttachError> {
        let word =
            |at: usize| u64::from_ne_bytes(bytes[at..at + 8].try_into().expect("a slice of eight bytes"));
        if word(header::MAGIC) != MAGIC {
            return Err(AttachError::Header("it holds something else"));
        }
        if word(header::VERSION) != VERSION {
            return Err(AttachError::Header("the version differs"));
        }
        let capacity = usize::try_from(word(header::CAPACITY)).unwrap_or(usize::MAX);
        if word(header::PAGE) != page_size() {
            return Err(AttachError::Header("the size of a page differs"));
        }
        let layout = Self::new(capacity, word(header::LIMIT))
            .map_err(|_| AttachError::Header("the capacity or the limit is impossible"))?;
        if layout.file_len != file_len {
            return Err(AttachError::Header("its length does not fit its capacity"));
        }
        match (word(header::PID_NAMESPACE), pid_namespace()) {
            (theirs, ours) if theirs != 0 && ours != 0 && theirs != ours => Err(AttachError::PidNamespace),
            _ => Ok(layout),
        }
    }
}

/// A number for the PID namespace of this process, 0 if /proc does not tell (`pid_namespaces(7)`).
fn pid_namespace() -> u64 {
    std::fs::metadata("/proc/self/ns/pid").map_or(0, |file| file.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_do_not_overlap() {
        for capacity in [1, 5, 1024, MAX_CAPACITY] {
            for limit in [1, 4096, DEFAULT_MESSAGE_LIMIT, MAX_MESSAGE_LIMIT] {
                let layout = Layout::new(capacity, limit).unwrap();
                let last = layout.capacity - 1;
                assert!(layout.slot(last) + SLOT <= layout.members);
                assert!(layout.member(MAX_MEMBERS - 1) + MEMBER <= layout.leases);
                assert!(layout.lease(MAX_LEASES - 1) + LEASE <= layout.stream);
                assert!(layout.mapped() as u64 <= layout.large(0));
                assert!(layout.large(last) + limit <= layout.leased(0));
                assert!(layout.leased(MAX_LEASES - 1) + limit <= layout.file_len);
                assert!(i64::try_from(layout.file_len).is_ok());
            }
        }
    }

    #[test]
    fn an_impossible_size_is_refused() {
        assert!(matches!(Layout::new(0, 1), Err(CreateError::Capacity { .. })));
        assert!(matches!(Layout::new(usize::MAX, 1), Err(CreateError::Capacity { .. })));
        assert!(matches!(Layout::new(1, 0), Err(CreateError::MessageLimit { .. })));
        assert!(matches!(Layout::new(1, u64::MAX), Err(CreateError::MessageLimit { .. })));
    }

    #[test]
    fn a_header_that_lies_is_refused() {
        let layout = Layout::new(5, 1000).unwrap();
        let bytes = |words: [u64; header::LEN / 8]| {
            let mut bytes = [0; header::LEN];
            for (eight, word) in bytes.chunks_exact_mut(8).zip(words) {
                eight.copy_from_slice(&word.to_ne_bytes());
            }
            bytes
        };
        let honest = layout.header();
        assert_eq!(Layout::from_header(&bytes(honest), layout.file_len).unwrap(), layout);
        assert!(Layout::from_header(&bytes(honest), layout.file_len - 1).is_err());
        for word in 0..honest.len() {
            let mut lie = honest;
            lie[word] = lie[word].wrapping_add(layout.page);
            assert!(Layout::from_header(&bytes(lie), layout.file_len).is_err(), "word {word}");
        }
    }
}
