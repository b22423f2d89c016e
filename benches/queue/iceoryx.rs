//! iceoryx2, whose closest equivalent is publish-subscribe with back-pressure: one publisher, one subscriber.

use super::{Kib, TWO, Two, child};
use iceoryx2::config::Config;
use iceoryx2::prelude::*;
use iceoryx2::service::port_factory::{PortFactory as _, publish_subscribe::PortFactory};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use proclab::sys::poll::Deadline;
use std::io::{Read, Write, pipe};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// 1 KiB that iceoryx2 may copy into shared memory.
#[derive(Debug, Clone, Copy, ZeroCopySend)]
#[repr(C)]
struct Block([u8; 1024]);

#[derive(Debug, Clone, Copy, ZeroCopySend)]
#[repr(C)]
struct Pair(u64, u64);

/// The time limit of a run.
const PATIENCE: Duration = Duration::from_secs(5);

/// Messages per second; `None` if the run does not end in time.
pub(super) fn run(capacity: usize, messages: usize, bytes: usize) -> Option<f64> {
    let Kib(block) = Kib([7; 1024]);
    let (first, second): Two = TWO;
    let rate = if bytes == 16 {
        measure(capacity, messages, Pair(first, second))
    } else {
        measure(capacity, messages, Block(block))
    };
    remove_files();
    rate
}

/// The prefix of its names, which distinguishes them from those of other programs. Children inherit it.
fn prefix() -> &'static str {
    static PREFIX: OnceLock<String> = OnceLock::new();
    PREFIX.get_or_init(|| format!("proclab_bench_{}_", std::process::id()))
}

fn root() -> PathBuf {
    std::env::temp_dir().join(format!("{}root", prefix()))
}

/// Removes the files that it leaves behind: one in any case, and more when it is killed.
fn remove_files() {
    let _ = std::fs::remove_dir_all(root());
    for entry in std::fs::read_dir("/dev/shm").into_iter().flatten().flatten() {
        if entry.file_name().as_encoded_bytes().starts_with(prefix().as_bytes()) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Both ends are separate processes, so that neither is forked from a process in which the library has run.
fn measure<T: ZeroCopySend + std::fmt::Debug + Copy + 'static>(
    capacity: usize,
    messages: usize,
    value: T,
) -> Option<f64> {
    static ROUND: AtomicUsize = AtomicUsize::new(0);
    let round = ROUND.fetch_add(1, Ordering::Relaxed);
    // Before the fork, so that both children have the same prefix.
    prefix();
    let name = format!("proclab-bench-{}-{round}", std::process::id());
    let name: ServiceName = name.as_str().try_into().expect("a name");
    let (mut told, mut tells) = pipe().expect("a pipe can be made");
    let (mut wait, mut go) = pipe().expect("a pipe can be made");
    let publisher = child(|| {
        let (_node, service) = open::<T>(&name, capacity);
        let publisher = service
            .publisher_builder()
            .backpressure_strategy(BackpressureStrategy::RetryUntilDelivered)
            .create()
            .expect("a publisher");
        wait.read_exact(&mut [0]).expect("the subscriber is there");
        for _ in 0..messages {
            publisher.send_copy(value).expect("it receives");
        }
        // The subscriber receives everything before the service ends.
        wait.read_exact(&mut [0]).expect("the subscriber is done");
    });
    let subscriber = child(|| {
        let (_node, service) = open::<T>(&name, capacity);
        let subscriber = service.subscriber_builder().create().expect("a subscriber");
        while service.dynamic_config().number_of_publishers() == 0 {
            std::thread::yield_now();
        }
        let begin = Instant::now();
        go.write_all(&[1]).expect("the publisher waits");
        let mut received = 0;
        while received < messages {
            match subscriber.receive().expect("it sends") {
                Some(_) => received += 1,
                None => std::hint::spin_loop(),
            }
        }
        let rate = messages as f64 / begin.elapsed().as_secs_f64();
        go.write_all(&[1]).expect("the publisher waits");
        tells.write_all(&rate.to_ne_bytes()).expect("the bench reads");
    });
    drop((tells, go, wait));
    let ended =
        proclab::sys::poll::readable(&[told.as_fd()], Deadline::after(PATIENCE)).expect("it can wait")[0];
    for process in [publisher, subscriber] {
        if !ended {
            kill(process, Signal::SIGKILL).expect("it is not reaped yet");
        }
        waitpid(process, None).expect("it is our child");
    }
    let mut rate = [0; 8];
    told.read_exact(&mut rate).ok().filter(|()| ended).map(|()| f64::from_ne_bytes(rate))
}

fn open<T: ZeroCopySend + std::fmt::Debug + Copy + 'static>(
    name: &ServiceName,
    capacity: usize,
) -> (Node<ipc::Service>, PortFactory<ipc::Service, T, ()>) {
    set_log_level(LogLevel::Fatal);
    let mut config = Config::default();
    config.global.prefix = FileName::new(prefix().as_bytes()).expect("a prefix");
    let root = root();
    config.global.set_root_path(&Path::new(root.as_os_str().as_encoded_bytes()).expect("a path"));
    let node = NodeBuilder::new().config(&config).create::<ipc::Service>().expect("a node");
    let service = node
        .service_builder(name)
        .publish_subscribe::<T>()
        .enable_safe_overflow(false)
        .subscriber_max_buffer_size(capacity)
        .open_or_create()
        .expect("a service");
    (node, service)
}
