//! Clocks, sleeps and random numbers: answered by the tracer, the same in every execution.
//!
//! Each process has a clock of its own, which goes on by what it does itself, so that a schedule's order is
//! not seen in it. A sleep takes no time; one that follows another while nothing has happened waits for
//! something to happen, for a loop that polls would poll for ever.

use nix::libc;

use super::{Row, row};
use crate::explore::step::Access::Await;
use crate::explore::traced::plan::Plan;
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
    row(arch::ALARM, "alarm", &[], timer),
    row(libc::SYS_setitimer, "setitimer", &[], timer),
    row(libc::SYS_timer_settime, "timer_settime", &[], timer),
    row(libc::SYS_timerfd_settime, "timerfd_settime", &[], timer),
];

/// 2100-01-01 00:00 UTC, when every execution begins: later than any file of the folder, or make would warn.
const BEGIN: u64 = 4_102_444_800_000_000_000;
/// What a look at a clock takes, in nanoseconds.
const TICK: u64 = 1_000;

fn now(world: &mut World, task: usize, clock: i32) -> u64 {
    let own = &mut world.process_mut(task).clock;
    *own += TICK;
    let base = if clock == libc::CLOCK_REALTIME || clock == libc::CLOCK_REALTIME_COARSE {
        BEGIN
    } else {
        1_000_000_000_000
    };
    match clock {
        libc::CLOCK_PROCESS_CPUTIME_ID | libc::CLOCK_THREAD_CPUTIME_ID => *own,
        _ => base + *own,
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
            .when(false)
            .by(crate::explore::traced::plan::Act::Skip(0));
    }
    let own = world.process_mut(task);
    own.clock =
        if flags & libc::TIMER_ABSTIME == 0 { own.clock.saturating_add(time) } else { own.clock + TICK };
    world.tasks[task].slept_at = Some(others);
    Plan::answered(0)
}

/// Random bytes that follow from the process's place in the tree and from how many it has had.
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

/// One byte of a stream that `name` and the place decide (FNV-1a, mixed as in SplitMix64).
pub(in crate::explore::traced) fn noise(name: &str, place: u64) -> u8 {
    let hash = name.bytes().chain(place.to_le_bytes()).fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mixed = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb).to_le_bytes()[7]
}

fn timer(world: &mut World, _task: usize) -> Plan {
    world.note("a timer that sends signals");
    Plan::invisible()
}
