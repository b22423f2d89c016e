//! Maps by TID and PID: every record is looked up by its TID, which needs no strong hash.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A map from a small number.
pub(super) type ById<K, V> = HashMap<K, V, BuildHasherDefault<IdHasher>>;

/// Spreads a number over all bits by one multiplication (Fibonacci hashing). The kernel assigns the numbers, so they
/// cannot be chosen to collide.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u32(u32::from(byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        // The map takes the bucket from the low bits and the tag from the high ones.
        let spread = (self.0 ^ u64::from(number)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = spread ^ (spread >> 32);
    }
}
