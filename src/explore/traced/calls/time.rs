//! Clocks, sleeps, random numbers and the set of CPUs: answered by the tracer, the same in every execution.
//!
//! Each task has a clock of its own, which follows from what it has done and from what that depended on, so
//! that the order of independent steps is not seen in it. A sleep takes no time; one that follows another
//! while nothing has happened waits for something to happen, for a loop that polls would poll for ever.

use nix::libc;

use super::{Row, row};
use crate::explore::step::Access::Await;
use crate::explore::traced::plan::Plan;
use crate::explore::traced::stamps::{BEGIN, UPTIME, hash};
use crate::explore::traced::world::World;
use crate::sys::ptrace::{arch, memory};

pub(super) const ROWS: &[Row] = &[
    row(libc::SYS_clock_gettime, "clock_gettime", &[], |world, task| {
        let call = world.call(task);
        let now = now(world, task, call.args[0] as i32);
        store(world, task, call.args[1], &[now / 1_000_000_000, now % 1_000_000_000])
    }),
    row(libc::SYS_gettimeofday, "gettimeofday", &[], |world, task| {
        let call = world.call(task);
        let now = now(world, task, libc::CLOCK_REALTIME);
        store(world, task, call.args[0], &[now / 1_000_000_000, now % 1_000_000_000 / 1000])
    }),
    row(arch::TIME, "time", &[], |world, task| {
        let call = world.call(task);
        let seconds = now(world, task, libc::CLOCK_REALTIME) / 1_000_000_000;
        if call.args[0] != 0 {
            let _ = store(world, task, call.args[0], &[seconds]);
        }
        Plan::answered(seconds.cast_signed())
    }),
    row(libc::SYS_nanosleep, "nanosleep", &[], |world, task| sleep(world, task, 0, 0)),
    row(libc::SYS_clock_nanosleep, "clock_nanosleep", &[], |world, task| {
        let flags = world.call(task).int(1);
        sleep(world, task, 2, flags)
    }),
    row(libc::SYS_getrandom, "getrandom", &[], |world, task| {
        let call = world.call(task);
        random_bytes(world, task, call.args[0], call.args[1])
    }),
    row(libc::SYS_getrusage, "getrusage", &[], |world, task| {
        no_usage(world, task, world.call(task).args[1]);
        Plan::answered(0)
    }),
    row(libc::SYS_times, "times", &[], |world, task| {
        let address = world.call(task).args[0];
        if address != 0 {
            let _ = store(world, task, address, &[0; 4]);
        }
        Plan::answered((now(world, task, libc::CLOCK_MONOTONIC) / 10_000_000).cast_signed())
    }),
    row(libc::SYS_sysinfo, "sysinfo", &[], |world, task| {
        // `struct sysinfo`: up for a while, without load, half of the memory free.
        let mut words = [0_u64; 14];
        (words[0], words[4], words[5]) = (UPTIME / 1_000_000_000, 8 << 30, 4 << 30);
        (words[10], words[13]) = (1, 1);
        store(world, task, world.call(task).args[0], &words)
    }),
    row(libc::SYS_getcpu, "getcpu", &[], |world, task| {
        for address in &world.call(task).args[..2] {
            if *address != 0 {
                let _ = memory::write(world.tid(task), *address, &[0; 4]);
            }
        }
        Plan::answered(0)
    }),
    row(libc::SYS_sched_getaffinity, "sched_getaffinity", &[], cpus),
    row(arch::ALARM, "alarm", &[], timer),
    row(libc::SYS_setitimer, "setitimer", &[], timer),
    row(libc::SYS_timer_settime, "timer_settime", &[], timer),
    row(libc::SYS_timerfd_settime, "timerfd_settime", &[], timer),
];

/// The virtual duration of reading a clock, in nanoseconds.
const TICK: u64 = 1_000;

fn now(world: &mut World, task: usize, clock: i32) -> u64 {
    // Two tasks never look at the same nanosecond: programs make names from it that must differ.
    let apart = hash(&world.task(task).name) % TICK;
    if matches!(clock, libc::CLOCK_REALTIME | libc::CLOCK_REALTIME_COARSE | libc::CLOCK_TAI) {
        let own = &mut world.tasks[task].clock;
        *own += TICK;
        return BEGIN + *own + apart;
    }
    if matches!(
        clock,
        libc::CLOCK_MONOTONIC
            | libc::CLOCK_MONOTONIC_RAW
            | libc::CLOCK_MONOTONIC_COARSE
            | libc::CLOCK_BOOTTIME
    ) {
        let own = &mut world.tasks[task].clock;
        *own += TICK;
        return UPTIME + *own + apart;
    }
    // Processor time, of a thread or a process.
    used(world, task)
}

/// The set of CPUs of a free run, so that `nproc` and the size of a pool are as in a free run.
fn cpus(world: &mut World, task: usize) -> Plan {
    let [_, size, address, ..] = world.call(task).args;
    let mut words = vec![0_u64; world.cpus.iter().max().map_or(1, |last| last / 64 + 1)];
    for cpu in &world.cpus {
        words[cpu / 64] |= 1 << (cpu % 64);
    }
    let length = 8 * words.len() as u64;
    if size % 8 != 0 || size < length {
        return Plan::answered(-i64::from(libc::EINVAL));
    }
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    match memory::write(world.tid(task), address, &bytes) {
        Ok(()) => Plan::answered(length.cast_signed()),
        Err(_) => Plan::answered(-i64::from(libc::EFAULT)),
    }
}

fn used(world: &mut World, task: usize) -> u64 {
    let used = &mut world.process_mut(task).used;
    *used += TICK;
    *used
}

/// An empty `struct rusage`.
pub(super) fn no_usage(world: &World, task: usize, address: u64) {
    const SIZE: usize = 144;
    if address != 0 {
        let _ = memory::write(world.tid(task), address, &[0; SIZE]);
    }
}

fn store(world: &World, task: usize, address: u64, words: &[u64]) -> Plan {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    match memory::write(world.tid(task), address, &bytes) {
        Ok(()) => Plan::answered(0),
        Err(_) => Plan::answered(-i64::from(libc::EFAULT)),
    }
}

fn sleep(world: &mut World, task: usize, request: usize, flags: i32) -> Plan {
    let address = world.call(task).args[request];
    let Ok(bytes) = memory::array::<16>(world.tid(task), address) else {
        return Plan::answered(-i64::from(libc::EFAULT));
    };
    let word = |at: usize| u64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap_or_default());
    let time = word(0).saturating_mul(1_000_000_000).saturating_add(word(8));
    let others = world.steps - world.task(task).steps;
    let seen = world.task(task).slept_at;
    let alone = world.tasks.iter().filter(|task| task.is_alive()).count() == 1;
    if seen == Some(others) && !alone {
        let name = world.task(task).name.clone();
        return Plan::of(format!("time {name}"), Await)
            .when(world.timeouts)
            .by(crate::explore::traced::plan::Act::Skip(0));
    }
    let own = &mut world.tasks[task];
    own.clock =
        if flags & libc::TIMER_ABSTIME == 0 { own.clock.saturating_add(time) } else { own.clock + TICK };
    world.tasks[task].slept_at = Some(others);
    Plan::answered(0)
}

/// Random bytes that depend on the process's place in the tree and on how many it has received.
pub(super) fn random_bytes(world: &mut World, task: usize, address: u64, length: u64) -> Plan {
    const MOST: u64 = 1 << 16;
    let length = length.min(MOST);
    let name = world.process(task).name.clone();
    let process = world.process_mut(task);
    let bytes: Vec<u8> = (0..length).map(|at| noise(&name, process.random + at)).collect();
    process.random += length;
    match memory::write(world.tid(task), address, &bytes) {
        Ok(()) => Plan::answered(length.cast_signed()),
        Err(_) => Plan::answered(-i64::from(libc::EFAULT)),
    }
}

/// One byte of a stream that depends on `name` and the place (a hash, mixed as in SplitMix64).
pub(in crate::explore::traced) fn noise(name: &str, place: u64) -> u8 {
    let hash = hash(&format!("{name} {place}"));
    let mixed = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb).to_le_bytes()[7]
}

fn timer(world: &mut World, _task: usize) -> Plan {
    world.note("a timer that sends signals");
    Plan::invisible()
}
