//! The send lock is held: what may be done now.
//!
//! A message is written where no receiver looks, behind TAIL; the one store to TAIL makes it part of the
//! queue. A sender that is killed before that store has done nothing; one that is killed after it has
//! sent its message. There is nothing to put right.

use super::channel::Channel;
use super::error::{Corrupt, Rejection};
use super::layout::{
    CLOSED, FREED, FREED_SEEN, RECEIVERS_ASLEEP, STREAM_FREED, STREAM_FREED_SEEN, STREAM_NEXT,
    STREAM_RESERVED, TAIL,
};
use super::place::{self, INLINE_LEN, Place, STREAM_ALIGN};
use crate::sync::robust_mutex::Held;
use std::sync::atomic::Ordering;

/// The stream is begun anew here when the queue runs empty, so that a queue that is mostly empty stays
/// in the cache and uses little memory.
const STREAM_HOME: u64 = 1 << 20;
/// What the stream has grown beyond this is given back when it begins anew.
const STREAM_KEEP: u64 = 4 << 20;
/// The stream gets its memory in pieces of this size.
const STREAM_STEP: u64 = 64 << 10;
/// Slots get their memory in pieces of this many.
const SLOTS_STEP: u64 = 4096;

#[derive(Debug)]
pub(super) struct Sending<'a> {
    channel: &'a Channel,
    tail: u64,
    placed: u64,
    _held: Held<'a>,
}

impl<'a> Sending<'a> {
    #[inline(always)]
    pub(super) fn new(channel: &'a Channel, held: Held<'a>) -> Self {
        Sending { channel, tail: channel.load(TAIL), placed: 0, _held: held }
    }

    /// Gives back the memory of large messages that a killed holder of the lock wrote but never
    /// published: the regions of all slots that are free now.
    #[cold]
    pub(super) fn recover(&self) {
        let (channel, layout) = (self.channel, &self.channel.layout);
        let freed = channel.word(FREED).load(Ordering::Acquire);
        let first_used = freed.wrapping_add(layout.capacity);
        for number in (self.tail..first_used).take(layout.capacity as usize) {
            let _ = channel.region.release(layout.large(number), layout.limit);
        }
    }

    #[inline]
    pub(super) fn is_closed(&self) -> bool {
        self.channel.load(CLOSED) != 0
    }

    pub(super) fn note_closed(&self) {
        self.channel.store(CLOSED, 1);
    }

    /// Whether there is room for one more than was placed.
    #[inline(always)]
    pub(super) fn has_room(&mut self) -> Result<bool, Corrupt> {
        let used = (self.tail + self.placed).wrapping_sub(self.channel.load(FREED_SEEN));
        if used < self.channel.layout.capacity {
            return Ok(true);
        }
        Ok(self.look_again()? < self.channel.layout.capacity)
    }

    /// Asks the receivers' side how much room is used.
    fn look_again(&self) -> Result<u64, Corrupt> {
        // Pairs with the store to FREED: the bytes of what was freed have been read.
        let freed = self.channel.word(FREED).load(Ordering::Acquire);
        let used = self.tail.checked_sub(freed).filter(|used| *used <= self.channel.layout.capacity);
        let used = used.ok_or(Corrupt("more was taken than sent, or more sent than there is room"))?;
        self.channel.store(FREED_SEEN, freed);
        Ok(used + self.placed)
    }

    /// Writes a message behind those that were placed before. Call [`Self::has_room`] first.
    #[inline(always)]
    pub(super) fn place(&mut self, bytes: &[u8]) -> Result<(), Rejection> {
        let number = self.tail + self.placed;
        let (channel, layout) = (self.channel, &self.channel.layout);
        let slot = layout.slot(number);
        if number < layout.capacity && number.is_multiple_of(SLOTS_STEP) {
            let last = layout.slot(layout.capacity.min(number + SLOTS_STEP) - 1) + super::layout::SLOT;
            channel.region.reserve(slot as u64, (last - slot) as u64).map_err(Rejection::Memory)?;
        }
        if bytes.len() <= INLINE_LEN {
            place::write_inline(channel, slot, bytes);
        } else if let Some(at) = self.room_in_stream(bytes.len() as u64)? {
            channel.region.put(layout.stream + (at & (layout.stream_len - 1)) as usize, bytes);
            channel.store(slot + 8, at);
            channel.store(slot, Place::Stream.word(bytes.len()));
        } else {
            channel.region.write(bytes, layout.large(number)).map_err(Rejection::Memory)?;
            channel.store(slot, Place::Large.word(bytes.len()));
        }
        self.placed += 1;
        Ok(())
    }

    /// Where in the stream so many bytes can be written now.
    #[inline]
    fn room_in_stream(&self, len: u64) -> Result<Option<u64>, Corrupt> {
        let (channel, size) = (self.channel, self.channel.layout.stream_len);
        if len > size / 4 {
            return Ok(None);
        }
        let mut at = channel.load(STREAM_NEXT) & !(STREAM_ALIGN - 1);
        let offset = at & (size - 1);
        let leaves_home = offset < STREAM_HOME && offset + len >= STREAM_HOME && self.look_again()? == 0;
        if offset + len > size || leaves_home {
            at = at.wrapping_add(size - offset);
        }
        let end = at.wrapping_add(len).next_multiple_of(STREAM_ALIGN);
        if end.wrapping_sub(channel.load(STREAM_FREED_SEEN)) > size {
            // An empty queue uses nothing of the stream, even if a receiver died before it said so.
            let empty = self.look_again()? == 0;
            let freed = if empty { at } else { channel.word(STREAM_FREED).load(Ordering::Acquire) };
            channel.store(STREAM_FREED_SEEN, freed);
            if end.wrapping_sub(freed) > size {
                return Ok(None);
            }
        }
        if !self.has_memory((at & (size - 1)) + len, leaves_home) {
            return Ok(None);
        }
        channel.store(STREAM_NEXT, end);
        Ok(Some(at))
    }

    /// Sees to it that the stream has memory up to `end`, and after a burst not much more.
    #[inline]
    fn has_memory(&self, end: u64, begins_anew: bool) -> bool {
        let (channel, layout) = (self.channel, &self.channel.layout);
        let mut reserved = channel.load(STREAM_RESERVED).min(layout.stream_len);
        if begins_anew && reserved > STREAM_KEEP {
            let rest = (layout.stream as u64 + STREAM_KEEP, reserved - STREAM_KEEP);
            channel.store(STREAM_RESERVED, STREAM_KEEP);
            let _ = channel.region.release(rest.0, rest.1);
            reserved = STREAM_KEEP;
        }
        if end > reserved {
            let wanted = end.next_multiple_of(STREAM_STEP).min(layout.stream_len);
            if channel.region.reserve(layout.stream as u64 + reserved, wanted - reserved).is_err() {
                return false;
            }
            channel.store(STREAM_RESERVED, wanted);
        }
        true
    }

    /// Makes all that was placed part of the queue. Rings before: see [`super::bell`].
    #[inline(always)]
    pub(super) fn publish(&mut self) {
        if self.placed == 0 {
            return;
        }
        self.wake_receivers();
        self.tail += self.placed;
        self.placed = 0;
        // The one store that counts. Pairs with the load in `Receiving::queued`.
        self.channel.word(TAIL).store(self.tail, Ordering::Release);
    }

    /// Wakes the receivers that may be asleep.
    #[inline]
    pub(super) fn wake_receivers(&self) {
        if self.channel.load(RECEIVERS_ASLEEP) != 0 {
            self.channel.items.ring();
            self.channel.store(RECEIVERS_ASLEEP, 0);
        }
    }

    /// Leaves the note that a receiver is about to sleep, unless it would find something: false then.
    ///
    /// A lease is returned under the other lock, and the bell rung for it afterwards under this one: if
    /// that has been, the lease is seen here; if it is yet to be, it will find the note.
    pub(super) fn prepare_sleep(&self) -> bool {
        if self.has_something() {
            return false;
        }
        self.channel.store(RECEIVERS_ASLEEP, 1);
        self.channel.items.silence();
        true
    }

    /// Whether a receiver would find something. No sender is under way, for the lock is held.
    pub(super) fn has_something(&self) -> bool {
        self.channel.word(super::layout::HEAD).load(Ordering::Acquire) != self.tail
            || super::leases::returned(self.channel) > 0
    }
}
