//! `membarrier(2)`: one process pays for the memory barriers of all others, who then need none.
//!
//! A release of a lock is *store, then check for sleepers*; going to sleep is *say so, then look
//! at the lock*. Without a barrier between the two halves on both sides, each may miss the other. A
//! barrier costs more than the rest of an uncontended release, so only the side that is
//! about to sleep pays: the kernel has every processor that runs a registered process pass a barrier.
//!
//! # Safety
//! The call takes numbers only.
#![expect(unsafe_code, reason = "a raw system call that nix does not wrap")]

use nix::libc;

// `<linux/membarrier.h>`, Linux 4.16.
const GLOBAL_EXPEDITED: libc::c_int = 1 << 1;
const REGISTER_GLOBAL_EXPEDITED: libc::c_int = 1 << 2;

/// Has [`everywhere`], called by any process, reach this one; forks of it too. False where the kernel
/// does not have it or a filter refuses it. After the first time this is a cheap call.
pub fn register() -> bool {
    call(REGISTER_GLOBAL_EXPEDITED)
}

/// When this returns, every thread of every registered process has passed a full memory barrier since
/// the call, and so has the caller. False where the kernel refuses: then nothing is sure.
pub fn everywhere() -> bool {
    call(GLOBAL_EXPEDITED)
}

fn call(command: libc::c_int) -> bool {
    // SAFETY: no memory is handed over.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
}
