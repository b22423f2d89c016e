//! The location of the bytes of a message, encoded in one word.
//!
//! All accesses are relaxed. A sender writes before its release store to TAIL. A receiver reads after its acquire
//! load of TAIL and before its release store to FREED, which the next sender loads with acquire.

use super::error::{Corrupt, Unreadable};
use super::memory::Memory;
use std::sync::atomic::Ordering;

/// The words of a slot: the location of its message, then the message itself if it is small.
const SLOT_WORDS: usize = super::layout::SLOT / 8;
/// The size in bytes of the largest message that is stored in its slot.
pub(super) const INLINE_LEN: usize = super::layout::SLOT - 8;
/// A message in the stream begins on a cache line.
pub(super) const STREAM_ALIGN: u64 = 64;

const SHIFT: u32 = 62;
/// Set if the message has handles: see [`super::parcels`].
pub(super) const HANDLES: u64 = 1 << 61;

/// Whether the message has handles.
#[inline]
pub(super) fn has_handles(word: u64) -> bool {
    word & HANDLES != 0
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In the slot itself.
    Inline,
    /// In the stream, at the position in the slot.
    Stream,
    /// In the region of the slot.
    Large,
}

impl Place {
    /// Encodes the location and length of a message.
    #[inline]
    pub(super) fn word(self, len: usize) -> u64 {
        (self as u64) << SHIFT | len as u64
    }

    #[inline]
    pub(super) fn from_word(word: u64, limit: u64) -> Result<(Self, usize), Corrupt> {
        let len = word & !(3 << SHIFT | HANDLES);
        if len > limit {
            return Err(Corrupt("a message is longer than the limit"));
        }
        let place = match word >> SHIFT {
            0 => Place::Inline,
            1 => Place::Stream,
            2 => Place::Large,
            _ => return Err(Corrupt("the location of a message is invalid")),
        };
        Ok((place, len as usize))
    }
}

/// Writes a message of at most [`INLINE_LEN`] bytes into a slot; `mark` is 0 or [`HANDLES`].
#[inline(always)]
pub(super) fn write_inline(memory: &Memory, slot: usize, bytes: &[u8], mark: u64) {
    let [location, words @ ..] = memory.region.words::<SLOT_WORDS>(slot);
    let mut whole = bytes.chunks_exact(8);
    let mut left = words.iter();
    for (eight, word) in (&mut whole).zip(&mut left) {
        word.store(u64::from_ne_bytes(eight.try_into().expect("eight")), Ordering::Relaxed);
    }
    if let (false, Some(word)) = (whole.remainder().is_empty(), left.next()) {
        let mut eight = [0; 8];
        eight[..whole.remainder().len()].copy_from_slice(whole.remainder());
        word.store(u64::from_ne_bytes(eight), Ordering::Relaxed);
    }
    location.store(Place::Inline.word(bytes.len()) | mark, Ordering::Relaxed);
}

/// Appends the bytes of message `number` to `buffer`, and returns whether it has handles.
#[inline(always)]
pub(super) fn read_slot(memory: &Memory, number: u64, buffer: &mut Vec<u8>) -> Result<bool, Unreadable> {
    let (region, layout) = (&memory.region, &memory.layout);
    let slot = layout.slot(number);
    let [location, words @ ..] = region.words::<SLOT_WORDS>(slot);
    let location = location.load(Ordering::Relaxed);
    let (place, len) = Place::from_word(location, layout.limit)?;
    match place {
        Place::Inline if len <= INLINE_LEN => {
            // Read the whole slot: copying a fixed number of words is faster than a loop over the used ones.
            let end = buffer.len() + len;
            let mut bytes = [0; INLINE_LEN];
            for (eight, word) in bytes.chunks_exact_mut(8).zip(words) {
                eight.copy_from_slice(&word.load(Ordering::Relaxed).to_ne_bytes());
            }
            buffer.extend_from_slice(&bytes);
            buffer.truncate(end);
        }
        Place::Inline => return Err(Corrupt("a message is longer than its slot").into()),
        Place::Stream => {
            let offset = words[0].load(Ordering::Relaxed) & (layout.stream_len - 1);
            if offset + len as u64 > layout.stream_len {
                return Err(Corrupt("a message extends beyond the stream").into());
            }
            region.append_to(buffer, layout.stream + offset as usize, len);
        }
        Place::Large => read_large(memory, layout.large(number), len, buffer)?,
    }
    Ok(has_handles(location))
}

/// Appends `len` bytes from `offset` of the file to `buffer`.
pub(super) fn read_large(
    memory: &Memory,
    offset: u64,
    len: usize,
    buffer: &mut Vec<u8>,
) -> Result<(), Unreadable> {
    let begin = buffer.len();
    buffer.try_reserve_exact(len).map_err(|_| std::io::Error::from(std::io::ErrorKind::OutOfMemory))?;
    buffer.resize(begin + len, 0);
    Ok(memory.region.read(&mut buffer[begin..], offset)?)
}
