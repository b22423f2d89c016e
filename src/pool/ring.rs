//! A stream of bytes through shared memory, from one process to one other.
//!
//! There are two positions, which only grow: HEAD, up to which the reader has read, and TAIL, up to which the writer
//! has written. Each is stored by one side alone. The bytes are there before TAIL says so, and have been copied before
//! HEAD does, so a side that is killed at any instruction leaves whole records and nothing else.

use crate::shm::region::Region;
use std::sync::atomic::Ordering;

/// Where a ring lies in its region.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ring {
    /// The word that the reader stores.
    pub(super) head: usize,
    /// The word that the writer stores.
    pub(super) tail: usize,
    /// The bytes, [`CAPACITY`] of them.
    pub(super) bytes: usize,
}

/// Bytes in a ring; a longer message goes through it in pieces.
pub(super) const CAPACITY: usize = 128 << 10;

const MASK: u64 = CAPACITY as u64 - 1;

/// The other side has stored what it never stores: it is not to be trusted any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Corrupt;

impl Ring {
    /// Bytes that can be read after `head`.
    ///
    /// # Errors
    /// [`Corrupt`].
    pub(super) fn readable(&self, region: &Region, head: u64) -> Result<usize, Corrupt> {
        // Acquire pairs with the release in `publish`: the bytes before TAIL are there.
        let used = region.word(self.tail).load(Ordering::Acquire).wrapping_sub(head);
        if used <= CAPACITY as u64 { Ok(used as usize) } else { Err(Corrupt) }
    }

    /// Bytes that can be written after `tail`.
    ///
    /// # Errors
    /// [`Corrupt`].
    pub(super) fn writable(&self, region: &Region, tail: u64) -> Result<usize, Corrupt> {
        // Acquire pairs with the release in `free`: the bytes before HEAD have been copied.
        let used = tail.wrapping_sub(region.word(self.head).load(Ordering::Acquire));
        if used <= CAPACITY as u64 { Ok(CAPACITY - used as usize) } else { Err(Corrupt) }
    }

    /// Makes what was put before `tail` readable: the one store that counts.
    pub(super) fn publish(&self, region: &Region, tail: u64) {
        region.word(self.tail).store(tail, Ordering::Release);
    }

    /// Gives the room before `head` back.
    pub(super) fn free(&self, region: &Region, head: u64) {
        region.word(self.head).store(head, Ordering::Release);
    }

    /// A word at a position that is a multiple of 8.
    pub(super) fn word(&self, region: &Region, at: u64) -> u64 {
        region.word(self.bytes + (at & MASK) as usize).load(Ordering::Relaxed)
    }

    pub(super) fn put_word(&self, region: &Region, at: u64, word: u64) {
        region.word(self.bytes + (at & MASK) as usize).store(word, Ordering::Relaxed);
    }

    pub(super) fn put(&self, region: &Region, at: u64, bytes: &[u8]) {
        let offset = (at & MASK) as usize;
        let (first, rest) = bytes.split_at(bytes.len().min(CAPACITY - offset));
        region.put(self.bytes + offset, first);
        if !rest.is_empty() {
            region.put(self.bytes, rest);
        }
    }

    /// Appends `len` bytes to `buffer`.
    pub(super) fn append_to(&self, region: &Region, buffer: &mut Vec<u8>, at: u64, len: usize) {
        let offset = (at & MASK) as usize;
        let first = len.min(CAPACITY - offset);
        region.append_to(buffer, self.bytes + offset, first);
        if first < len {
            region.append_to(buffer, self.bytes, len - first);
        }
    }
}
