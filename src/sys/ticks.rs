//! The processor's time stamp counter, which is cheaper to read than the clock.
//!
//! # Safety
//! `rdtsc` reads a register.
#![cfg_attr(
    target_arch = "x86_64",
    expect(unsafe_code, reason = "an instruction that only reads a register")
)]

/// A counter that advances by one to three per nanosecond. It is only for rough comparisons of elapsed time, not for
/// measurements.
#[inline]
pub fn ticks() -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 has the instruction.
    unsafe {
        std::arch::x86_64::_rdtsc()
    }
    #[cfg(not(target_arch = "x86_64"))]
    super::clock::monotonic_ns()
}
