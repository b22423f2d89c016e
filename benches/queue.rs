//! Compares the queue with its peers: messages per second and the time of a round trip.
//!
//! ```text
//! cargo bench --bench queue [--features peers] [-- PART-OF-A-NAME]
//! ```
//!
//! # Safety
//! Processes are forked while this one has one thread, and end by `_exit`.
#![expect(unsafe_code, reason = "fork")]
#![expect(clippy::print_stdout, reason = "a bench reports")]

#[cfg(feature = "peers")]
#[path = "queue/iceoryx.rs"]
mod iceoryx;

use ipc_channel::ipc;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork};
use proclab::queue::bounded;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::io::{Read, Write, pipe};
use std::process::Command;
use std::time::{Duration, Instant};

const ROUNDS: usize = 5;

/// A message of 1 KiB.
#[derive(Clone, Copy)]
struct Kib([u8; 1024]);

/// A message of 16 bytes.
type Two = (u64, u64);
const TWO: Two = (1 << 60, 1 << 61);

impl Serialize for Kib {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Kib {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl de::Visitor<'_> for Bytes {
            type Value = Kib;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("1024 bytes")
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Kib, E> {
                bytes.try_into().map(Kib).map_err(|_| E::invalid_length(bytes.len(), &self))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

/// A measurement: a number of messages through a queue of a capacity.
#[derive(Clone, Copy)]
struct Work {
    capacity: usize,
    pairs: usize,
    messages: usize,
}

fn child(body: impl FnOnce()) -> Pid {
    // SAFETY: all threads of this process have been joined.
    match unsafe { fork() }.expect("a process can be forked") {
        ForkResult::Parent { child } => child,
        ForkResult::Child => {
            body();
            // SAFETY: ends the child without running the parent's exit handlers.
            unsafe { nix::libc::_exit(0) }
        }
    }
}

/// Messages per second.
fn rate(work: Work, run: impl FnOnce() -> Vec<Pid>) -> f64 {
    let begin = Instant::now();
    for pid in run() {
        waitpid(pid, None).expect("it is our child");
    }
    work.messages as f64 / begin.elapsed().as_secs_f64()
}

/// The processes of `work`: each producer sends, and each consumer receives. The last consumer is this process.
fn ours<T: Serialize + de::DeserializeOwned + Copy>(work: Work, value: T) -> f64 {
    let mut ends = Some(bounded::<T>(work.capacity).expect("a queue can be made"));
    rate(work, || {
        let mut children = Vec::new();
        for _ in 0..work.pairs {
            children.push(child(|| {
                let (sender, receiver) = ends.take().expect("both ends");
                drop(receiver);
                for _ in 0..work.messages / work.pairs {
                    sender.send(value).unwrap_or_else(|_| panic!("they receive"));
                }
            }));
        }
        for _ in 1..work.pairs {
            children.push(child(|| {
                let (sender, receiver) = ends.take().expect("both ends");
                drop(sender);
                receiver.iter().for_each(drop);
            }));
        }
        let (sender, receiver) = ends.take().expect("both ends");
        drop(sender);
        receiver.iter().for_each(drop);
        children
    })
}

fn crossbeam<T: Send + Copy>(work: Work, value: T) -> f64 {
    rate(work, || {
        let (sender, receiver) = crossbeam_channel::bounded::<T>(work.capacity);
        std::thread::scope(|scope| {
            for _ in 0..work.pairs {
                let sender = sender.clone();
                scope.spawn(move || {
                    for _ in 0..work.messages / work.pairs {
                        sender.send(value).unwrap_or_else(|_| panic!("they receive"));
                    }
                });
            }
            drop(sender);
            for _ in 1..work.pairs {
                let receiver = receiver.clone();
                scope.spawn(move || receiver.iter().for_each(drop));
            }
            receiver.iter().for_each(drop);
        });
        Vec::new()
    })
}

fn ipc<T: Serialize + de::DeserializeOwned + Copy>(work: Work, value: T) -> f64 {
    let (sender, receiver) = ipc::channel::<T>().expect("a channel can be made");
    rate(work, || {
        let children = (0..work.pairs)
            .map(|_| {
                child(|| {
                    for _ in 0..work.messages / work.pairs {
                        sender.send(value).expect("it receives");
                    }
                })
            })
            .collect();
        for _ in 0..work.messages {
            receiver.recv().expect("they send");
        }
        children
    })
}

fn through_pipe(work: Work, bytes: usize) -> f64 {
    let (mut reader, mut writer) = pipe().expect("a pipe can be made");
    let value = vec![7; bytes];
    rate(work, || {
        let children = (0..work.pairs)
            .map(|_| {
                child(|| {
                    (0..work.messages / work.pairs).for_each(|_| writer.write_all(&value).expect("it reads"))
                })
            })
            .collect();
        let mut buffer = vec![0; bytes];
        for _ in 0..work.messages {
            reader.read_exact(&mut buffer).expect("they write");
        }
        children
    })
}

const PYTHON: &str = "
import sys, time
from multiprocessing import Process, Queue
def produce(q, n, v):
    for _ in range(n): q.put(v)
def consume(q, n):
    for _ in range(n): q.get()
if __name__ == '__main__':
    capacity, pairs, n, size = map(int, sys.argv[1:])
    q = Queue(capacity)
    v = (1 << 60, 1 << 61) if size == 16 else bytes(size)
    t = time.monotonic()
    ps = [Process(target=produce, args=(q, n // pairs, v)) for _ in range(pairs)]
    ps += [Process(target=consume, args=(q, n // pairs)) for _ in range(pairs - 1)]
    for p in ps: p.start()
    consume(q, n // pairs)
    for p in ps: p.join()
    print(n / (time.monotonic() - t))
";

fn python(work: Work, bytes: usize) -> Option<f64> {
    let args = [work.capacity, work.pairs, work.messages, bytes].map(|number| number.to_string());
    let output = Command::new("python3").arg("-c").arg(PYTHON).args(args).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

/// Seconds per round trip, with a child that ends after the last one.
fn time_trips(trips: u32, echo: Pid, mut trip: impl FnMut(u64)) -> f64 {
    let begin = Instant::now();
    (0..trips).for_each(|number| trip(number.into()));
    let took = begin.elapsed().as_secs_f64();
    waitpid(echo, None).expect("it is our child");
    took / f64::from(trips)
}

/// Seconds per round trip of 8 bytes.
fn our_round_trip(trips: u32) -> f64 {
    let (there, arrives) = bounded::<u64>(1).expect("a queue can be made");
    let (back, returns) = bounded::<u64>(1).expect("a queue can be made");
    let echo =
        child(|| (0..trips).for_each(|_| back.send(arrives.recv().expect("it sends")).expect("it receives")));
    time_trips(trips, echo, |trip| {
        there.send(trip).expect("it receives");
        returns.recv().expect("it sends");
    })
}

fn ipc_round_trip(trips: u32) -> f64 {
    let (there, arrives) = ipc::channel::<u64>().expect("a channel can be made");
    let (back, returns) = ipc::channel::<u64>().expect("a channel can be made");
    let echo =
        child(|| (0..trips).for_each(|_| back.send(arrives.recv().expect("it sends")).expect("it receives")));
    time_trips(trips, echo, |trip| {
        there.send(trip).expect("it receives");
        returns.recv().expect("it sends");
    })
}

/// Bytes per second of copying one megabyte in pieces of 1 KiB.
fn memcpy() -> f64 {
    let (from, mut to) = (vec![1_u8; 1 << 20], vec![0_u8; 1 << 20]);
    let begin = Instant::now();
    let rounds = 200;
    for _ in 0..rounds {
        for (to, from) in to.chunks_exact_mut(1024).zip(from.chunks_exact(1024)) {
            to.copy_from_slice(std::hint::black_box(from));
        }
        std::hint::black_box(&mut to);
    }
    f64::from(rounds) * f64::from(1 << 20) / begin.elapsed().as_secs_f64()
}

/// Processor time, in seconds, of a receiver that waits for half a second.
fn idle() -> f64 {
    let used = || {
        let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("it is told");
        [usage.user_time(), usage.system_time()]
            .map(|time| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6)
            .iter()
            .sum::<f64>()
    };
    let before = used();
    let (sender, receiver) = bounded::<u64>(5).expect("a queue can be made");
    let waits = child(|| drop(receiver.recv()));
    std::thread::sleep(Duration::from_millis(500));
    sender.send(1).expect("it receives");
    waitpid(waits, None).expect("it is our child");
    used() - before
}

/// The median, the minimum and the maximum of several rounds.
fn median(mut measure: impl FnMut() -> f64) -> [f64; 3] {
    sorted((0..ROUNDS).map(|_| measure()).collect())
}

fn sorted(mut all: Vec<f64>) -> [f64; 3] {
    all.sort_by(f64::total_cmp);
    [all[ROUNDS / 2], all[0], all[ROUNDS - 1]]
}

fn row(name: &str, [middle, least, most]: [f64; 3]) {
    println!("  {name:<34} {:>9.3} M/s  ({:.3} to {:.3})", middle / 1e6, least / 1e6, most / 1e6);
}

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|part| name.contains(part.as_str()));
    let mut figures = Vec::new();
    let mut compare = |work: String, peer: &str, ours: f64, theirs: f64| {
        figures.push(format!("figure {work} proclab/{peer} {:.2}", ours / theirs));
    };
    println!("{} processors; {ROUNDS} rounds each, the middle one, and from the least to the most", cpus());
    println!(
        "waiting: proclab looks and yields for 30 to 100 us, then sleeps in poll; crossbeam spins, yields, then parks;"
    );
    println!(
        "ipc-channel, pipe and Python sleep in the kernel; iceoryx2 polls without a pause (it has no blocking receive)"
    );
    for bytes in [16, 1024] {
        for capacity in [5, 64, 1024] {
            for pairs in [1, 2] {
                let name = format!("{bytes}B-capacity-{capacity}-{pairs}+{pairs}");
                if !is_wanted(&name) {
                    continue;
                }
                let work = |messages: usize| Work { capacity, pairs, messages };
                println!("{bytes} bytes, capacity {capacity}, {pairs} producers, {pairs} consumers");
                let many = work(if bytes == 16 { 1_000_000 } else { 200_000 });
                let us = if bytes == 16 {
                    median(|| ours(many, TWO))
                } else {
                    median(|| ours(many, Kib([7; 1024])))
                };
                row("proclab", us);
                let peer = if bytes == 16 {
                    median(|| crossbeam(many, TWO))
                } else {
                    median(|| crossbeam(many, Kib([7; 1024])))
                };
                row("crossbeam-channel, threads", peer);
                compare(name.clone(), "crossbeam", us[0], peer[0]);
                let peer = if bytes == 16 {
                    median(|| ipc(work(15_000), TWO))
                } else {
                    median(|| ipc(work(15_000), Kib([7; 1024])))
                };
                row("ipc-channel, unbounded, 1 consumer", peer);
                compare(name.clone(), "ipc-channel", us[0], peer[0]);
                let peer = median(|| through_pipe(work(30_000), bytes));
                row("pipe of 64 KiB, 1 consumer", peer);
                compare(name.clone(), "pipe", us[0], peer[0]);
                #[cfg(feature = "peers")]
                if pairs == 1 {
                    let rounds: Option<Vec<f64>> =
                        (0..ROUNDS).map(|_| iceoryx::run(capacity, 60_000, bytes)).collect();
                    match rounds {
                        Some(rounds) => {
                            let peer = sorted(rounds);
                            row("iceoryx2 publish-subscribe", peer);
                            compare(name.clone(), "iceoryx2", us[0], peer[0]);
                        }
                        None => println!("  left out: iceoryx2, which did not come to an end"),
                    }
                }
                match python(work(4_000), bytes) {
                    Some(peer) => {
                        row("Python multiprocessing.Queue", [peer; 3]);
                        compare(name, "python", us[0], peer);
                    }
                    None => println!("  left out: Python, there is no python3"),
                }
                if bytes == 1024 {
                    println!(
                        "  proclab moves {:.2} GB/s; memcpy {:.2} GB/s",
                        us[0] * 1024.0 / 1e9,
                        memcpy() / 1e9
                    );
                }
            }
        }
    }
    if is_wanted("round-trip") {
        let (us, peer) = (median(|| our_round_trip(20_000)), median(|| ipc_round_trip(5_000)));
        println!("round trip: proclab {:.2} us, ipc-channel {:.2} us", us[0] * 1e6, peer[0] * 1e6);
        compare("round-trip".to_owned(), "ipc-channel", 1.0 / us[0], 1.0 / peer[0]);
    }
    println!("an idle receiver used {:.2} ms of processor time in 500 ms", idle() * 1e3);
    #[cfg(not(feature = "peers"))]
    println!("left out: iceoryx2, which needs --features peers");
    figures.iter().for_each(|figure| println!("{figure}"));
}

fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
