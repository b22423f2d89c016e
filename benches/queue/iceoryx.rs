//! iceoryx2, whose nearest thing is publish-subscribe with back-pressure: one publisher, one subscriber.

use super::{Kib, TWO, Two, child};
use iceoryx2::prelude::*;
use nix::sys::wait::waitpid;
use std::time::Instant;

/// 1 KiB that iceoryx2 may copy into shared memory.
#[derive(Debug, Clone, Copy, ZeroCopySend)]
#[repr(C)]
struct Block([u8; 1024]);

#[derive(Debug, Clone, Copy, ZeroCopySend)]
#[repr(C)]
struct Pair(u64, u64);

pub(super) fn run(capacity: usize, messages: usize, bytes: usize) -> f64 {
    let Kib(block) = Kib([7; 1024]);
    let (first, second): Two = TWO;
    if bytes == 16 {
        measure(capacity, messages, Pair(first, second))
    } else {
        measure(capacity, messages, Block(block))
    }
}

fn measure<T: ZeroCopySend + std::fmt::Debug + Copy + 'static>(
    capacity: usize,
    messages: usize,
    value: T,
) -> f64 {
    let name = format!("proclab-bench-{}-{capacity}-{}", std::process::id(), size_of::<T>());
    let name: ServiceName = name.as_str().try_into().expect("a name");
    let (ready, mut go) = std::io::pipe().expect("a pipe can be made");
    let mut ready = ready;
    let publisher = child(|| {
        let node = NodeBuilder::new().create::<ipc::Service>().expect("a node");
        let service = node
            .service_builder(&name)
            .publish_subscribe::<T>()
            .enable_safe_overflow(false)
            .subscriber_max_buffer_size(capacity)
            .open_or_create()
            .expect("a service");
        let publisher = service
            .publisher_builder()
            .backpressure_strategy(BackpressureStrategy::RetryUntilDelivered)
            .create()
            .expect("a publisher");
        std::io::Read::read_exact(&mut ready, &mut [0]).expect("the subscriber is there");
        for _ in 0..messages {
            publisher.send_copy(value).expect("it receives");
        }
        // The subscriber takes all before the service goes.
        std::io::Read::read_exact(&mut ready, &mut [0]).expect("the subscriber is done");
    });
    let node = NodeBuilder::new().create::<ipc::Service>().expect("a node");
    let service = node
        .service_builder(&name)
        .publish_subscribe::<T>()
        .enable_safe_overflow(false)
        .subscriber_max_buffer_size(capacity)
        .open_or_create()
        .expect("a service");
    let subscriber = service.subscriber_builder().create().expect("a subscriber");
    while service.dynamic_config().number_of_publishers() == 0 {
        std::thread::yield_now();
    }
    let begin = Instant::now();
    std::io::Write::write_all(&mut go, &[1]).expect("the publisher waits");
    let mut received = 0;
    while received < messages {
        match subscriber.receive().expect("it sends") {
            Some(_) => received += 1,
            None => std::hint::spin_loop(),
        }
    }
    let took = begin.elapsed().as_secs_f64();
    std::io::Write::write_all(&mut go, &[1]).expect("the publisher waits");
    waitpid(publisher, None).expect("it is our child");
    messages as f64 / took
}
