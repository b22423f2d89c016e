//! The call that a thread is in again after a stop, or after a signal without a handler.
//!
//! A call with a time limit goes on as `restart_syscall(2)`, which has no arguments of its own: the registers are those of
//! the call that was interrupted. Only a few calls go on like that, and their arguments tell which one it was.

use nix::libc;

use crate::sys::procfs::syscall::InCall;

/// No pointer is below this.
const LEAST_ADDRESS: u64 = 4096;
/// More clocks than there are.
const CLOCKS: u64 = 32;

/// The interrupted call of a `restart_syscall(2)`, if its arguments tell it.
pub(super) fn interrupted(call: InCall) -> Option<InCall> {
    let [first, second, third, fourth, ..] = call.args;
    let is_address = |word| word >= LEAST_ADDRESS;
    let number = if first < CLOCKS && is_address(third) {
        libc::SYS_clock_nanosleep
    } else if !is_address(first) {
        return None;
    } else if is_private_futex(second) && is_address(fourth) {
        libc::SYS_futex
    } else if is_address(second) || (second == 0 && !is_address(fourth)) {
        libc::SYS_nanosleep
    } else {
        polled(second, third)?
    };
    Some(InCall { number, ..call })
}

/// `FUTEX_WAIT` and `FUTEX_WAIT_BITSET` of threads of one process. Shared ones are the numbers 0 and 9, which may as well be
/// those of descriptors.
fn is_private_futex(operation: u64) -> bool {
    const REALTIME: u64 = libc::FUTEX_CLOCK_REALTIME as u64;
    let plain =
        [libc::FUTEX_WAIT, libc::FUTEX_WAIT_BITSET].map(|wait| (wait | libc::FUTEX_PRIVATE_FLAG) as u64);
    plain.contains(&(operation & !REALTIME))
}

/// `poll(2)` of so many descriptors for so many milliseconds.
#[cfg(target_arch = "x86_64")]
fn polled(n: u64, milliseconds: u64) -> Option<i64> {
    let shared_futex = [libc::FUTEX_WAIT, libc::FUTEX_WAIT_BITSET].map(|wait| wait as u64).contains(&n);
    let is_limit = (1..=i32::MAX as u64).contains(&milliseconds);
    (!shared_futex && is_limit).then_some(libc::SYS_poll)
}

/// Newer architectures have `ppoll(2)` alone, which is called anew.
#[cfg(not(target_arch = "x86_64"))]
fn polled(_n: u64, _milliseconds: u64) -> Option<i64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(args: [u64; 6]) -> Option<i64> {
        interrupted(InCall { number: libc::SYS_restart_syscall, args }).map(|call| call.number)
    }

    #[test]
    fn the_arguments_tell_the_interrupted_call_or_nothing() {
        const AT: u64 = 0x7ffc_5cf1_2380;
        assert_eq!(told([0, 0, AT, AT + 64, 0, 0]), Some(libc::SYS_clock_nanosleep));
        assert_eq!(told([1, 0, AT, 0, 0, 0]), Some(libc::SYS_clock_nanosleep));
        assert_eq!(told([AT, AT + 16, 0, 0, 0, 0]), Some(libc::SYS_nanosleep));
        assert_eq!(told([AT, 0, 7, 8, 0, 0]), Some(libc::SYS_nanosleep));
        for operation in [128, 137, 393] {
            assert_eq!(told([AT, operation, 1, AT + 64, 0, 0xffff_ffff]), Some(libc::SYS_futex));
        }
        #[cfg(target_arch = "x86_64")]
        assert_eq!(told([AT, 2, 5_000, 0, 0, 0]), Some(libc::SYS_poll));
        // A shared futex, or nine descriptors; nothing that is restarted.
        assert_eq!(told([AT, 9, 5_000, AT, 0, 0]), None);
        assert_eq!(told([AT, 0, 1, AT, 0, 0]), None);
        assert_eq!(told([40, 3, 4, 5, 0, 0]), None);
    }
}
