//! The layout of a queue's memory.
//!
//! ```text
//! header   what the queue is                                never changes
//! sending  the senders' lock and state                      guarded by the send lock
//! TAIL     number of messages ever sent                     written under the send lock
//! taking   the receivers' lock and state                    guarded by the receive lock
//! HEAD     number of messages ever taken; FREED: how many   written under the receive lock
//!          of their slots may be reused
//! EPOCH    incremented when an end is closed; next to it the processor on which each side last waited
//! slots    one per message: its location, or the message itself if it is small
//! members  one per receiving handle: what it took last
//! leases   one per leased message or dead letter: a copy, and its holder
//! stream   bytes of medium-sized messages, a ring
//! (mapped up to here)
//! large    one region per slot, as large as the size limit: bytes of larger messages
//! leased   one region per lease, of the same size
//! ```
//!
//! The last two span the size limit times the number of slots or leases, but use memory only for what they hold.

use super::error::{AttachError, CreateError};
use super::policy::Policy;
use crate::sys::mmap::page_size;
use std::os::unix::fs::MetadataExt;

/// Offsets of the words of the header.
pub(super) mod header {
    pub(in crate::queue) const MAGIC: usize = 0;
    pub(in crate::queue) const VERSION: usize = 8;
    pub(in crate::queue) const CAPACITY: usize = 16;
    pub(in crate::queue) const LIMIT: usize = 24;
    pub(in crate::queue) const PAGE: usize = 32;
    pub(in crate::queue) const PID_NAMESPACE: usize = 40;
    pub(in crate::queue) const POLICY: usize = 48;
    /// Tells two queues apart whose memory has the same inode number, one after the other.
    pub(in crate::queue) const NONCE: usize = 56;
    pub(in crate::queue) const LEN: usize = 64;
}

// Words that different processors write are at least two cache lines apart, because processors fetch lines in
// pairs.
/// Two 32-bit words, like [`RECV_LOCK`]: see [`crate::sync::robust_mutex`].
pub(super) const SEND_LOCK: usize = 128;
/// The value of [`FREED`] that a sender last read.
pub(super) const FREED_SEEN: usize = 136;
/// Whether a receiver may be asleep.
pub(super) const RECEIVERS_ASLEEP: usize = 144;
/// Whether the queue was closed.
pub(super) const CLOSED: usize = 152;
/// The position in the stream at which the next message begins; it never wraps.
pub(super) const STREAM_NEXT: usize = 160;
/// The value of [`STREAM_FREED`] that a sender last read.
pub(super) const STREAM_FREED_SEEN: usize = 168;
/// The length in bytes of the beginning of the stream that has memory reserved.
pub(super) const STREAM_RESERVED: usize = 176;
/// Whether a process may have left a parcel without a message, because it was killed.
pub(super) const STRAYS: usize = 184;
pub(super) const TAIL: usize = 256;
pub(super) const RECV_LOCK: usize = 384;
/// The value of [`TAIL`] that a receiver last read.
pub(super) const TAIL_SEEN: usize = 392;
/// Whether a sender may be asleep because the queue is full.
pub(super) const SENDERS_ASLEEP: usize = 400;
/// Whether a sender may be asleep until every message is done.
pub(super) const JOINERS_ASLEEP: usize = 408;
/// All leases from this index on are free.
pub(super) const LEASES_END: usize = 416;
/// All members from this index on are free.
pub(super) const MEMBERS_END: usize = 424;
/// When the holders of leases were last checked for death, in nanoseconds of the monotonic clock.
pub(super) const LAST_SWEEP: usize = 432;
/// How often all was done, 32 bits: see [`super::wake_event`].
pub(super) const SETTLED: usize = 440;
pub(super) const HEAD: usize = 512;
pub(super) const FREED: usize = 520;
/// The position in the stream up to which its bytes may be reused.
pub(super) const STREAM_FREED: usize = 528;
pub(super) const EPOCH: usize = 640;
/// The number of the processor on which a sender last waited, plus one. Written only when it changes.
pub(super) const SENDERS_CPU: usize = 648;
/// The same for a receiver.
pub(super) const RECEIVERS_CPU: usize = 656;
const SLOTS: usize = 768;

/// Bytes per slot: a word that locates the message, and room for a small message.
pub(super) const SLOT: usize = 32;
pub(super) const MEMBER: usize = 64;
pub(super) const LEASE: usize = 64;

/// The largest capacity of a queue, in messages.
pub const MAX_CAPACITY: usize = 1 << 24;
/// The largest message size limit, in encoded bytes.
pub const MAX_MESSAGE_LIMIT: u64 = 1 << 32;
/// The default message size limit, in encoded bytes.
pub const DEFAULT_MESSAGE_LIMIT: u64 = 64 << 20;
/// The maximum number of handles that receive from one queue at a time.
pub const MAX_MEMBERS: usize = 1024;
/// The maximum number of leased messages and dead letters of one queue at a time.
pub const MAX_LEASES: usize = 1024;

const MAGIC: u64 = u64::from_le_bytes(*b"proclabQ");
const VERSION: u64 = 5;
const MIN_STREAM: u64 = 64 << 10;
const MAX_STREAM: u64 = 1 << 30;

/// The offsets of all parts of a queue of one size, and its policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) capacity: u64,
    pub(super) limit: u64,
    pub(super) policy: Policy,
    pub(super) page: u64,
    pub(super) members: usize,
    pub(super) leases: usize,
    pub(super) stream: usize,
    /// Length of the stream in bytes, a power of two.
    pub(super) stream_len: u64,
    /// Bytes of a region that fits any message.
    stride: u64,
    large: u64,
    leased: u64,
    pub(super) file_len: u64,
}

impl Layout {
    pub(super) fn new(capacity: usize, limit: u64, policy: Policy) -> Result<Self, CreateError> {
        if !(1..=MAX_CAPACITY).contains(&capacity) {
            return Err(CreateError::Capacity { capacity, max: MAX_CAPACITY });
        }
        if !(1..=MAX_MESSAGE_LIMIT).contains(&limit) {
            return Err(CreateError::MessageLimit { limit, max: MAX_MESSAGE_LIMIT });
        }
        Ok(Self::compute(capacity, limit, policy, page_size()))
    }

    /// A layout of a file of up to `most` bytes, with the largest limit up to `limit` for which that is enough.
    pub(super) fn within(
        capacity: usize,
        limit: u64,
        policy: Policy,
        most: u64,
    ) -> Result<Self, CreateError> {
        let wanted = Self::new(capacity, limit, policy)?;
        if wanted.file_len <= most {
            return Ok(wanted);
        }
        let regions = wanted.capacity + MAX_LEASES as u64;
        let stride = most.saturating_sub(wanted.large) / regions / wanted.page * wanted.page;
        if stride == 0 { Ok(wanted) } else { Self::new(capacity, stride, policy) }
    }

    fn compute(capacity: usize, limit: u64, policy: Policy, page: u64) -> Self {
        let members = (SLOTS + capacity * SLOT).next_multiple_of(128);
        let leases = members + MAX_MEMBERS * MEMBER;
        let stream = (leases + MAX_LEASES * LEASE).next_multiple_of(page as usize);
        let capacity = capacity as u64;
        let stream_len = (capacity * 2048).clamp(MIN_STREAM, MAX_STREAM).next_power_of_two();
        let stride = limit.next_multiple_of(page);
        let large = stream as u64 + stream_len;
        let leased = large + capacity * stride;
        let file_len = leased + MAX_LEASES as u64 * stride;
        Layout {
            capacity,
            limit,
            policy,
            page,
            members,
            leases,
            stream,
            stream_len,
            stride,
            large,
            leased,
            file_len,
        }
    }

    /// The length in bytes of the beginning of the file that is mapped.
    pub(super) fn mapped(&self) -> usize {
        self.large as usize
    }

    #[inline]
    pub(super) fn slot(&self, number: u64) -> usize {
        // A division costs as much as a lock, so powers of two avoid it.
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

    /// The large regions of the slots of messages `begin..end` in the file, as at most two ranges of offset and
    /// length, since the slots are a ring.
    pub(super) fn large_ranges(&self, begin: u64, end: u64) -> [(u64, u64); 2] {
        let count = end.saturating_sub(begin).min(self.capacity);
        let first = begin % self.capacity;
        let until_wrap = count.min(self.capacity - first);
        [
            (self.large + first * self.stride, until_wrap * self.stride),
            (self.large, (count - until_wrap) * self.stride),
        ]
    }

    /// The regions of leases `begin..end` in the file, as offset and length.
    pub(super) fn leased_range(&self, begin: usize, end: usize) -> (u64, u64) {
        (self.leased(begin), (end - begin) as u64 * self.stride)
    }

    pub(super) fn large(&self, number: u64) -> u64 {
        self.large + number % self.capacity * self.stride
    }

    pub(super) fn leased(&self, index: usize) -> u64 {
        self.leased + index as u64 * self.stride
    }

    pub(super) fn header(&self, nonce: u64) -> [u64; header::LEN / 8] {
        let mut words = [0; header::LEN / 8];
        words[header::MAGIC / 8] = MAGIC;
        words[header::VERSION / 8] = VERSION;
        words[header::CAPACITY / 8] = self.capacity;
        words[header::LIMIT / 8] = self.limit;
        words[header::PAGE / 8] = self.page;
        words[header::PID_NAMESPACE / 8] = pid_namespace();
        words[header::POLICY / 8] = self.policy.word();
        words[header::NONCE / 8] = nonce;
        words
    }

    /// The layout that a header describes, if the header is valid.
    pub(super) fn from_header(bytes: &[u8; header::LEN], file_len: u64) -> Result<Self, AttachError> {
        let word =
            |at: usize| u64::from_ne_bytes(bytes[at..at + 8].try_into().expect("a slice of eight bytes"));
        if word(header::MAGIC) != MAGIC {
            return Err(AttachError::Header("the magic number is missing"));
        }
        if word(header::VERSION) != VERSION {
            return Err(AttachError::Header("the version differs"));
        }
        let capacity = usize::try_from(word(header::CAPACITY)).unwrap_or(usize::MAX);
        if word(header::PAGE) != page_size() {
            return Err(AttachError::Header("the page size differs"));
        }
        let policy = Policy::from_word(word(header::POLICY));
        let policy = policy.ok_or(AttachError::Header("the lease policy is unknown"))?;
        let layout = Self::new(capacity, word(header::LIMIT), policy)
            .map_err(|_| AttachError::Header("the capacity or the size limit is out of range"))?;
        if layout.file_len != file_len {
            return Err(AttachError::Header("its length does not match its capacity"));
        }
        match (word(header::PID_NAMESPACE), pid_namespace()) {
            (theirs, ours) if theirs != 0 && ours != 0 && theirs != ours => Err(AttachError::PidNamespace),
            _ => Ok(layout),
        }
    }
}

/// The inode of this process's PID namespace (`pid_namespaces(7)`), 0 if /proc does not show it.
fn pid_namespace() -> u64 {
    std::fs::metadata("/proc/self/ns/pid").map_or(0, |file| file.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_layout_do_not_overlap() {
        for capacity in [1, 5, 1024, MAX_CAPACITY] {
            for limit in [1, 4096, DEFAULT_MESSAGE_LIMIT, MAX_MESSAGE_LIMIT] {
                let layout = Layout::new(capacity, limit, Policy::default()).unwrap();
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
    fn a_layout_fits_into_the_largest_file() {
        for most in [1 << 30, 1 << 24, 64 << 30, u64::MAX] {
            for capacity in [1, 5, 1024] {
                let layout =
                    Layout::within(capacity, DEFAULT_MESSAGE_LIMIT, Policy::default(), most).unwrap();
                assert!(layout.file_len <= most && layout.limit >= 4096, "{layout:?}");
            }
        }
    }

    #[test]
    fn a_size_out_of_range_is_refused() {
        assert!(matches!(Layout::new(0, 1, Policy::default()), Err(CreateError::Capacity { .. })));
        assert!(matches!(Layout::new(usize::MAX, 1, Policy::default()), Err(CreateError::Capacity { .. })));
        assert!(matches!(Layout::new(1, 0, Policy::default()), Err(CreateError::MessageLimit { .. })));
        assert!(matches!(Layout::new(1, u64::MAX, Policy::default()), Err(CreateError::MessageLimit { .. })));
    }

    #[test]
    fn the_regions_of_consecutive_slots_are_two_ranges() {
        let layout = Layout::new(8, 4096, Policy::default()).unwrap();
        for (begin, end) in [(0, 0), (0, 8), (3, 5), (6, 9), (13, 21), (15, 16)] {
            let one_by_one: std::collections::BTreeSet<u64> = (begin..end).map(|n| layout.large(n)).collect();
            let ranges = layout.large_ranges(begin, end).into_iter();
            let in_ranges =
                ranges.flat_map(|(at, len)| (at..at + len).step_by(layout.stride as usize)).collect();
            assert_eq!(one_by_one, in_ranges, "{begin} to {end}");
        }
    }

    #[test]
    fn an_invalid_header_is_refused() {
        let layout = Layout::new(5, 1000, Policy::default()).unwrap();
        let bytes = |words: [u64; header::LEN / 8]| {
            let mut bytes = [0; header::LEN];
            for (eight, word) in bytes.chunks_exact_mut(8).zip(words) {
                eight.copy_from_slice(&word.to_ne_bytes());
            }
            bytes
        };
        let valid = layout.header(7);
        assert_eq!(Layout::from_header(&bytes(valid), layout.file_len).unwrap(), layout);
        assert!(Layout::from_header(&bytes(valid), layout.file_len - 1).is_err());
        for word in 0..header::NONCE / 8 {
            let mut invalid = valid;
            invalid[word] = invalid[word].wrapping_add(layout.page);
            assert!(Layout::from_header(&bytes(invalid), layout.file_len).is_err(), "word {word}");
        }
    }
}
