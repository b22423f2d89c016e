//! Corrupted memory causes an error, never a crash and never an endless wait.

use super::forked::{LONG, child, state, wait_until};
use super::trial;
use libtest_mimic::Trial;
use nix::sys::wait::{WaitStatus, waitpid};
use proclab::queue::bounded_with_limit;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::time::Duration;

pub(super) fn tests() -> Vec<Trial> {
    vec![trial("corrupted_memory_crashes_no_process", scribbles)]
}

/// The memory of the only queue that this process has.
fn memory() -> File {
    let fds = fs::read_dir("/proc/self/fd").expect("/proc").flatten();
    let is_ours = |path: &std::path::Path| {
        fs::read_link(path).is_ok_and(|target| target.to_string_lossy().starts_with("/memfd:proclab"))
    };
    let path = fds.map(|fd| fd.path()).find(|path| is_ours(path)).expect("a queue has memory");
    File::options().write(true).open(path).expect("its memory can be written to")
}

fn scribbles() {
    let mut dice = 0x1234_5678_9ABC_DEF1_u64;
    let mut roll = move || {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        dice
    };
    for _ in 0..200 {
        let (sender, receiver) = bounded_with_limit::<Vec<u8>>(3, 30_000).expect("a queue can be made");
        let (where_to, what, how_many) = (roll(), roll(), roll() % 3 + 1);
        let values = [0, 1, 2, 3, u64::MAX, u64::MAX >> 2, 1 << 62, 2 << 62, 3 << 62, 1 << 32, what];
        let user = child(|| {
            sender.send(vec![1; 10]).expect("there is room");
            sender.send(vec![1; 2000]).expect("there is room");
            let _lease = receiver.lease();
            let file = memory();
            for scribble in 0..how_many {
                // The words before the slots, the slots, and the first members and leases.
                let words = [(128, 96), (768, 16), (896, 16), (896 + 65_536, 16)];
                let (begin, len) = words[(where_to >> (8 * scribble)) as usize % words.len()];
                let offset = begin + (where_to >> 32) % len * 8;
                let value = values[(what >> (5 * scribble)) as usize % values.len()];
                file.write_all_at(&value.to_ne_bytes(), offset).expect("the memory is there");
            }
            let moment = Duration::from_millis(5);
            for size in [5, 100, 20_000] {
                let _ = sender.send_timeout(vec![2; size], moment);
                let _ = receiver.recv_timeout(moment);
                let _ = receiver.lease_timeout(moment).map(|lease| lease.done());
                let _ = (sender.len(), sender.is_full(), receiver.is_empty());
            }
            let _ = (sender.join_timeout(moment), receiver.take_dead_letter());
        });
        let over = wait_until(|| state(user) == Some('Z'));
        if over.is_err() {
            // Even with corrupted memory, a call with a timeout must return in time.
            let _ = nix::sys::signal::kill(user, nix::sys::signal::Signal::SIGKILL);
        }
        let end = waitpid(user, None).expect("it is our child");
        assert_eq!(
            end,
            WaitStatus::Exited(user, 0),
            "within {LONG:?}, scribbles {where_to:#x} {what:#x} {how_many}"
        );
    }
}
