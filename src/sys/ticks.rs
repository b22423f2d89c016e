//! The processor's own counter: "has some time gone by?" for less than a read of the clock costs.
//!
//! # Safety
//! `rdtsc` reads a register.
#![cfg_attr(
    target_arch = "x86_64",
    expect(unsafe_code, reason = "an instruction that only reads a register")
)]

/// A count that grows by one to three a nanosecond. Not for measuring: only to tell "just now" from
/// "a while ago".
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
