//! Processes send and receive while one after the other is killed and replaced; at the end every message is accounted
//! for.
//!
//! A sender sends (its number, 0), (its number, 1), … and records in memory that outlives it how many were accepted. A
//! receiver sets a bit for each message that it receives. At the end, no bit must have been set twice, and an accepted
//! message may be missing only if the queue reports that a killed receiver had taken it.
//!
//! # Safety
//! The ledger is a mapping that all processes share and never unmap, accessed only through atomics.
#![expect(unsafe_code, reason = "memory that all processes share")]

use super::forked::{LONG, child, wait_until};
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use proclab::queue::{Receiver, Sender, bounded};
use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

type Message = (u32, u64);

/// The number of processes at any time; half of them send.
const AT_WORK: usize = 8;
/// The maximum number of messages of one sender.
const MESSAGES: usize = 1 << 18;
const WORDS: usize = MESSAGES / 64;

/// The result of a storm.
#[derive(Debug)]
#[expect(dead_code, reason = "shown by Debug")]
pub(crate) struct Storm {
    pub(crate) kills: usize,
    pub(crate) accepted: u64,
    pub(crate) received: u64,
    /// Messages that were accepted and not received.
    pub(crate) missing: u64,
    /// How many messages killed receivers had taken, according to the queue.
    pub(crate) told: u64,
}

/// The records that outlive each process.
#[derive(Clone, Copy)]
struct Books {
    over: &'static AtomicU64,
    /// How many messages arrived again without being redelivered on purpose.
    twice: &'static AtomicU64,
    /// The number of accepted messages of each sender.
    accepted: &'static [AtomicU64],
    /// One bit per message that arrived.
    came: &'static [AtomicU64],
}

impl Books {
    fn new(senders: usize) -> Self {
        let words = 2 + senders + senders * WORDS;
        let length = NonZeroUsize::new(words * 8).expect("is not 0");
        let flags = MapFlags::MAP_SHARED | MapFlags::MAP_NORESERVE;
        // SAFETY: a new anonymous mapping overlaps nothing.
        let base =
            unsafe { mmap_anonymous(None, length, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, flags) };
        let base = base.expect("memory for the books").cast::<AtomicU64>();
        // SAFETY: zeroed, aligned, and never unmapped.
        let all = unsafe { std::slice::from_raw_parts(base.as_ptr(), words) };
        let (accepted, came) = all[2..].split_at(senders);
        Books { over: &all[0], twice: &all[1], accepted, came }
    }

    fn send(self, number: u32, sender: &Sender<Message>) {
        for count in 0..MESSAGES as u64 {
            if self.over.load(Relaxed) != 0 || sender.send((number, count)).is_err() {
                return;
            }
            self.accepted[number as usize].store(count + 1, Relaxed);
        }
        wait_until(|| self.over.load(Relaxed) != 0).expect("the storm ends");
    }

    fn note(self, (number, count): Message, again: bool) {
        let bit = 1 << (count % 64);
        let before = self.came[number as usize * WORDS + count as usize / 64].fetch_or(bit, Relaxed);
        if before & bit != 0 && !again {
            self.twice.fetch_add(1, Relaxed);
        }
    }

    fn receive(self, slot: usize, leases: bool, receiver: &Receiver<Message>) {
        match slot % 3 {
            _ if leases => {
                while let Ok(lease) = receiver.lease() {
                    self.note(*lease, lease.deliveries() > 1);
                    lease.done().expect("the lease is ours");
                }
            }
            0 => receiver.iter().for_each(|message| self.note(message.expect("a message"), false)),
            _ => {
                while let Ok(messages) = receiver.recv_many(4) {
                    messages.into_iter().for_each(|message| self.note(message.expect("a message"), false));
                }
            }
        }
    }
}

/// Runs the storm. With leases, nothing may be missing.
///
/// # Panics
/// If a message is not accounted for, or a process is delayed.
pub(crate) fn run(duration: Duration, pause: Duration, capacity: usize, leases: bool) -> Storm {
    let most = AT_WORK + (duration.as_micros() / pause.as_micros().max(1)) as usize + 1;
    let books = Books::new(most);
    let mut ends = Some(bounded::<Message>(capacity).expect("a queue can be made"));
    let mut senders = 0;
    let mut start = |slot: usize, ends: &mut Option<(Sender<Message>, Receiver<Message>)>| {
        let number = senders;
        senders += u32::from(slot < AT_WORK / 2);
        child(|| {
            // The copy keeps only the end that it uses.
            let (sender, receiver) = ends.take().expect("the parent has both ends");
            if slot < AT_WORK / 2 {
                drop(receiver);
                books.send(number, &sender);
            } else {
                drop(sender);
                books.receive(slot, leases, &receiver);
            }
        })
    };
    let mut at_work: Vec<Pid> = (0..AT_WORK).map(|slot| start(slot, &mut ends)).collect();
    let mut killed_receivers = HashSet::new();
    let (mut kills, mut dice) = (0, 0x9E37_79B9_7F4A_7C15_u64);
    let begin = Instant::now();
    while begin.elapsed() < duration && kills + AT_WORK < most {
        std::thread::sleep(pause);
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        let slot = (dice % AT_WORK as u64) as usize;
        kill(at_work[slot], Signal::SIGKILL).expect("it is our child");
        waitpid(at_work[slot], None).expect("it is our child");
        if slot >= AT_WORK / 2 {
            killed_receivers.insert(at_work[slot].as_raw());
        }
        kills += 1;
        at_work[slot] = start(slot, &mut ends);
    }

    books.over.store(1, Relaxed);
    let (sender, receiver) = ends.expect("the parent has both ends");
    drop(sender);
    for pid in at_work {
        wait_until(|| {
            std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z"))
        })
        .unwrap_or_else(|()| panic!("process {pid} is held up {LONG:?} after the storm"));
        assert_eq!(waitpid(pid, None), Ok(WaitStatus::Exited(pid, 0)));
    }
    assert!(receiver.is_empty());
    let losses = receiver.take_losses().expect("the books are open");
    let told: u64 = losses
        .iter()
        .filter(|loss| killed_receivers.contains(&loss.pid.as_raw()))
        .map(|loss| loss.count)
        .sum();

    let (mut accepted, mut received, mut missing) = (0, 0, 0);
    for number in 0..senders as usize {
        let sent = books.accepted[number].load(Relaxed);
        let bits = &books.came[number * WORDS..][..WORDS];
        let came = |count: u64| bits[count as usize / 64].load(Relaxed) >> (count % 64) & 1 == 1;
        accepted += sent;
        received += bits.iter().map(|word| u64::from(word.load(Relaxed).count_ones())).sum::<u64>();
        missing += (0..sent).filter(|count| !came(*count)).count() as u64;
        // A killed sender may have failed to record one accepted message.
        assert!(
            (sent + 1..MESSAGES as u64).all(|count| !came(count)),
            "a message arrived that no process sent"
        );
    }
    assert_eq!(books.twice.load(Relaxed), 0, "messages arrived twice");
    assert!(!leases || told == 0, "a leased message was reported as lost: {losses:?}");
    assert!(missing <= told, "{missing} messages are missing, but {told} were reported: {losses:?}");
    Storm { kills, accepted, received, missing, told }
}
