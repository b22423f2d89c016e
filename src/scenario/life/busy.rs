//! Work that needs a processor and nothing else.

use crate::sys::clock::cpu_ns;
use std::hint::black_box;

/// Computes until this process has used `ns` nanoseconds of processor time more.
pub(super) fn burn(ns: u64) {
    let end = cpu_ns() + ns;
    let mut x = 1_u64;
    while cpu_ns() < end {
        for _ in 0..1000 {
            x = black_box(x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
        }
    }
}
