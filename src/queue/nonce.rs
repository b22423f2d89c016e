//! Numbers that no other message and no other queue has.

use crate::sys::robust::lineage;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

/// A new one.
pub(super) fn fresh_nonce() -> io::Result<u64> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    Ok(lineage()? ^ count.wrapping_mul(0x9E37_79B9_7F4A_7C15))
}
