//! Purely computational work.

use crate::sys::clock::{cpu_ns, monotonic_ns};
use std::hint::black_box;

/// Computes until this process has used another `ns` nanoseconds of processor time.
pub(super) fn burn(ns: u64) {
    let end = cpu_ns() + ns;
    while cpu_ns() < end {
        compute();
    }
}

/// A begin and an end, in nanoseconds.
pub(super) type Span = (u64, u64);

/// Like [`burn`], and returns when it was on the processor: a jump of the clock means time off the processor.
pub(super) fn burn_in_slices(ns: u64) -> Vec<Span> {
    /// Far longer than one call of `compute`, and far shorter than a turn of another process.
    const JUMP_NS: u64 = 100_000;
    let end = cpu_ns() + ns;
    let mut now = monotonic_ns();
    let mut slices = vec![(now, now)];
    while cpu_ns() < end {
        compute();
        let before = std::mem::replace(&mut now, monotonic_ns());
        if now - before > JUMP_NS {
            slices.push((now, now));
        } else if let Some(slice) = slices.last_mut() {
            slice.1 = now;
        }
    }
    slices
}

fn compute() {
    let mut x = 1_u64;
    for _ in 0..1000 {
        x = black_box(x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    }
}
