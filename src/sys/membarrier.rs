//! `membarrier(2)`: one process executes the memory barriers for all others, which then need none.
//!
//! Releasing a lock is *store, then check for sleepers*; going to sleep is *announce it, then check the lock*.
//! Without a barrier between the two steps on both sides, each side may miss the other's store. A barrier costs more
//! than the rest of an uncontended release, so only the side that is about to sleep pays for it: the kernel executes
//! a barrier on every processor that runs a registered process.
//!
//! # Safety
//! The call takes only integers.
#![expect(unsafe_code, reason = "a raw system call that nix does not wrap")]

use nix::libc;

// `<linux/membarrier.h>`, Linux 4.16.
const GLOBAL_EXPEDITED: libc::c_int = 1 << 1;
const REGISTER_GLOBAL_EXPEDITED: libc::c_int = 1 << 2;

/// Registers this process and its forks, so that [`everywhere`] in any process includes them. Returns false if the
/// kernel does not support the call or a seccomp filter refuses it. Repeated calls are cheap.
pub fn register() -> bool {
    call(REGISTER_GLOBAL_EXPEDITED)
}

/// When this returns true, every thread of every registered process has executed a full memory barrier since the
/// call, and so has the caller. False if the kernel refuses the call; then nothing is guaranteed.
pub fn everywhere() -> bool {
    call(GLOBAL_EXPEDITED)
}

fn call(command: libc::c_int) -> bool {
    // SAFETY: takes three integers.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
}
