//! The exact and the root tier: perf records of every switch and life, as events.

use crate::sys::pid::Pid;
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;

use super::event::{Event, What};
use super::tier::Tier;
use crate::sys::perf::event::{PerfEvent, Scope, Source, online_cpus, open, share_ring};
use crate::sys::perf::record::{Record, Stamp};
use crate::sys::perf::ring::Ring;
use crate::sys::perf::tracepoint::Tracepoint;
use crate::sys::procfs::text::printable;

/// Ring sizes to try, largest first: an unprivileged user may lock `perf_event_mlock_kb` (516 KiB) a CPU and
/// `RLIMIT_MEMLOCK` on top.
const RING_BYTES: [usize; 5] = [2 << 20, 1 << 20, 512 << 10, 128 << 10, 32 << 10];

/// Room for 20,000 records, more than one CPU writes in the 10 ms between two looks.
const LARGE_BYTES: usize = 512 << 10;

/// The open events and their rings, one on each CPU.
#[derive(Debug)]
pub(super) struct Recorder {
    rings: Vec<(u32, Ring)>,
    /// Events that write into the rings of others; they end when they are closed.
    sharers: Vec<PerfEvent>,
    ring_bytes: usize,
    tracepoints: Option<Tracepoints>,
    n_lost: u64,
    n_records: u64,
}

#[derive(Debug)]
struct Tracepoints {
    switch: Tracepoint,
    waking: Tracepoint,
    signal: Option<Tracepoint>,
    /// Some kernels write no tracepoint records on a CPU that idles, where a timer sends its signal. What it sent is
    /// recorded where it arrives.
    arrival: Option<Tracepoint>,
}

impl Recorder {
    /// Records thread `first`, from now on, and all that it will fork.
    ///
    /// # Errors
    /// What [`open`](crate::sys::perf::event::open) says, after which the next lower tier is the one to take;
    /// `ESRCH` when `first` is gone.
    pub(super) fn new(tier: Tier, first: Pid) -> Result<Self, Errno> {
        match tier {
            Tier::Root => Self::everyone(),
            _ => Self::open(Scope::FromNow(first), None),
        }
    }

    fn everyone() -> Result<Self, Errno> {
        let find = |name| Tracepoint::find(name).ok_or(Errno::EACCES);
        let tracepoints = Tracepoints {
            switch: find("sched/sched_switch")?,
            waking: find("sched/sched_waking")?,
            signal: Tracepoint::find("signal/signal_generate"),
            arrival: Tracepoint::find("signal/signal_deliver"),
        };
        Self::open(Scope::Everyone, Some(tracepoints))
    }

    fn open(scope: Scope, tracepoints: Option<Tracepoints>) -> Result<Self, Errno> {
        let mut refused = Errno::ENOMEM;
        for ring_bytes in RING_BYTES {
            match Self::open_with(scope, &tracepoints, ring_bytes) {
                Ok((rings, sharers)) => {
                    return Ok(Self { rings, sharers, ring_bytes, tracepoints, n_lost: 0, n_records: 0 });
                }
                // Too much locked memory: perf says EPERM, and ENOMEM when there is none at all.
                Err((errno @ (Errno::EPERM | Errno::ENOMEM), true)) => refused = errno,
                Err((errno, _)) => return Err(errno),
            }
        }
        Err(refused)
    }

    /// The flag of the error says that the ring was refused, not the event.
    #[expect(clippy::type_complexity, reason = "the pair is taken apart by its only caller")]
    fn open_with(
        scope: Scope,
        tracepoints: &Option<Tracepoints>,
        ring_bytes: usize,
    ) -> Result<(Vec<(u32, Ring)>, Vec<PerfEvent>), (Errno, bool)> {
        let wakeup_bytes = wakeup_bytes(ring_bytes);
        let (mut rings, mut sharers) = (Vec::new(), Vec::new());
        for cpu in online_cpus() {
            let event = |source| open(source, scope, cpu, wakeup_bytes).map_err(|errno| (errno, false));
            let ring = Ring::new(event(Source::Lives)?, ring_bytes).map_err(|errno| (errno, true))?;
            for tracepoint in tracepoints.iter().flat_map(Tracepoints::all) {
                let sharer = event(Source::Tracepoint(tracepoint.id))?;
                share_ring(&sharer, ring.event()).map_err(|errno| (errno, false))?;
                sharers.push(sharer);
            }
            rings.push((cpu, ring));
        }
        Ok((rings, sharers))
    }

    /// Records one more running thread and all that it will fork. Of no effect in the root tier, which records
    /// every process.
    ///
    /// # Errors
    /// `ESRCH` when it is gone.
    pub(super) fn attach(&mut self, tid: Pid) -> Result<(), Errno> {
        if self.tracepoints.is_some() {
            return Ok(());
        }
        for (cpu, ring) in &self.rings {
            let event = open(Source::Lives, Scope::FromNow(tid), *cpu, wakeup_bytes(self.ring_bytes))?;
            share_ring(&event, ring.event())?;
            self.sharers.push(event);
        }
        Ok(())
    }

    /// Appends everything recorded since the last call, in no order across CPUs.
    pub(super) fn drain(&mut self, events: &mut Vec<Event>) {
        let Self { rings, tracepoints, n_lost, n_records, .. } = self;
        for (cpu, ring) in rings {
            // The tracepoint of a switch comes right before the switch's own records, on the same CPU.
            let mut switch = Switch::default();
            ring.drain(|record| {
                *n_records += 1;
                match record {
                    Record::Lost(count) => *n_lost += count,
                    Record::Sample { stamp, raw } => {
                        let Some(tracepoints) = tracepoints else { return };
                        if tracepoints.switch.is(raw) {
                            switch = tracepoints.switch(raw);
                        } else if let Some(Signalled { tid, number, by_thread }) = tracepoints.signalled(raw)
                        {
                            let by = if by_thread { stamp.tid } else { Pid::UNKNOWN };
                            let what = What::Signal { number, by };
                            events.push(Event { at_ns: stamp.at_ns, pid: tid, tid, what });
                        } else if let Some(number) = tracepoints.arrived(raw) {
                            let what = What::SignalReceived { number };
                            events.push(Event { at_ns: stamp.at_ns, pid: stamp.pid, tid: stamp.tid, what });
                        } else if let Some(tid) = tracepoints.woken(raw) {
                            // An interrupt may come while any thread runs.
                            let by =
                                if tracepoints.waking.in_interrupt(raw) { Pid::UNKNOWN } else { stamp.tid };
                            let what = What::Woken { by };
                            events.push(Event { at_ns: stamp.at_ns, pid: tid, tid, what });
                        }
                    }
                    Record::Out { stamp, preempted } => {
                        let leaving = switch.leaving.take();
                        let stamp = named(stamp, leaving.map(|(tid, _)| tid));
                        events.extend(as_event(Record::Out { stamp, preempted }, *cpu));
                        if let Some((tid, letter)) = leaving
                            && tid == stamp.tid
                        {
                            let what = What::Letter(letter);
                            events.push(Event { at_ns: stamp.at_ns, pid: stamp.pid, tid, what });
                        }
                    }
                    Record::In(stamp) => {
                        let stamp = named(stamp, switch.coming.take());
                        events.extend(as_event(Record::In(stamp), *cpu));
                    }
                    Record::Comm { pid, tid, exec: true, at_ns, .. } => {
                        // The thread that execs has the CPU, though recording may begin with this very record.
                        // It has the main thread's number from here on, whichever it had before.
                        events.extend(as_event(record, *cpu));
                        events.push(Event { at_ns, pid, tid, what: What::In { cpu: *cpu } });
                    }
                    Record::Exit { pid, tid, at_ns, .. } => {
                        // So has one that exits, though the record of the switch may be left out by then.
                        events.push(Event { at_ns, pid, tid, what: What::In { cpu: *cpu } });
                        events.extend(as_event(record, *cpu));
                    }
                    record => events.extend(as_event(record, *cpu)),
                }
            });
        }
    }

    /// Records that the kernel could not write because a ring was full.
    pub(super) fn n_lost(&self) -> u64 {
        self.n_lost
    }

    /// Records read so far.
    pub(super) fn n_records(&self) -> u64 {
        self.n_records
    }

    /// Descriptors that become readable when a ring is a quarter full, if the rings are small enough for that to matter.
    /// A large ring lasts many times the longest sleep between two looks, and a process that polls one is also woken at
    /// every exit of a watched process, at that process's expense.
    pub(super) fn as_fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let small = self.ring_bytes < LARGE_BYTES;
        self.rings.iter().filter(move |_| small).map(|(_, ring)| ring.as_fd())
    }
}

/// What the tracepoint of a switch says of both threads.
#[derive(Debug, Clone, Copy, Default)]
struct Switch {
    /// The thread that leaves the CPU, and the letter of its state.
    leaving: Option<(Pid, char)>,
    coming: Option<Pid>,
}

/// What the tracepoint of a signal says.
#[derive(Debug, Clone, Copy)]
struct Signalled {
    /// The receiver.
    tid: Pid,
    number: i32,
    /// The running thread sent it by a system call; otherwise the kernel did, for a timer, a fault or a terminal.
    by_thread: bool,
}

/// A thread that is reaped before it has left the CPU for the last time has the TID -1 in the records; the tracepoint
/// still has its TID.
fn named(stamp: Stamp, tid: Option<Pid>) -> Stamp {
    match tid {
        Some(tid) if stamp.tid == Pid::from_raw(-1) => Stamp { tid, ..stamp },
        _ => stamp,
    }
}

impl Tracepoints {
    fn all(&self) -> impl Iterator<Item = &Tracepoint> {
        [&self.switch, &self.waking].into_iter().chain(&self.signal).chain(&self.arrival)
    }

    fn switch(&self, raw: &[u8]) -> Switch {
        let coming =
            self.switch.number(raw, "next_pid").and_then(|tid| i32::try_from(tid).ok().map(Pid::from_raw));
        Switch { leaving: self.leaving(raw), coming }
    }

    fn leaving(&self, raw: &[u8]) -> Option<(Pid, char)> {
        let tid = Pid::from_raw(i32::try_from(self.switch.number(raw, "prev_pid")?).ok()?);
        // `TASK_REPORT` of `linux/sched.h`; the flag above it says "preempted".
        let letter = match self.switch.number(raw, "prev_state")? & 0xff {
            0 => 'R',
            state if state & 0x02 != 0 => 'D',
            state if state & 0x04 != 0 => 'T',
            state if state & 0x08 != 0 => 't',
            state if state & 0x10 != 0 => 'X',
            state if state & 0x20 != 0 => 'Z',
            state if state & 0x80 != 0 => 'I',
            _ => 'S',
        };
        Some((tid, letter))
    }

    fn signalled(&self, raw: &[u8]) -> Option<Signalled> {
        /// `SI_USER`, `SI_QUEUE` and `SI_TKILL` of `sigaction(2)`.
        const BY_CALL: [i64; 3] = [0, -1, -6];
        let signal = self.signal.as_ref().filter(|signal| signal.is(raw))?;
        let tid = i32::try_from(signal.number(raw, "pid")?).ok()?;
        Some(Signalled {
            tid: Pid::from_raw(tid),
            number: i32::try_from(signal.number(raw, "sig")?).ok()?,
            by_thread: BY_CALL.contains(&signal.number(raw, "code")?) && !signal.in_interrupt(raw),
        })
    }

    /// The number of a signal from the kernel that the running thread receives, for a timer for example.
    fn arrived(&self, raw: &[u8]) -> Option<i32> {
        /// `SI_TIMER` and `SI_KERNEL` of `sigaction(2)`.
        const BY_KERNEL: [i64; 2] = [-2, 0x80];
        let arrival = self.arrival.as_ref().filter(|arrival| arrival.is(raw))?;
        let number = i32::try_from(arrival.number(raw, "sig")?).ok()?;
        BY_KERNEL.contains(&arrival.number(raw, "code")?).then_some(number)
    }

    fn woken(&self, raw: &[u8]) -> Option<Pid> {
        i32::try_from(self.waking.is(raw).then(|| self.waking.number(raw, "pid")).flatten()?)
            .ok()
            .map(Pid::from_raw)
    }
}

fn as_event(record: Record<'_>, cpu: u32) -> Option<Event> {
    let (at_ns, pid, tid, what) = match record {
        Record::In(stamp) => (stamp.at_ns, stamp.pid, stamp.tid, What::In { cpu }),
        Record::Out { stamp, preempted } => (stamp.at_ns, stamp.pid, stamp.tid, What::Out { preempted }),
        Record::Fork { pid, tid, ppid, at_ns } => (at_ns, pid, tid, What::Forked { ppid }),
        Record::Exit { pid, tid, ppid, at_ns } => (at_ns, pid, tid, What::Exited { ppid }),
        Record::Comm { pid, tid, name, exec, at_ns } => {
            let name = printable(name);
            (at_ns, pid, tid, What::Named { name, exec })
        }
        Record::Sample { .. } | Record::Lost(_) | Record::Other => return None,
    };
    // The idle task belongs to no process.
    (tid != Pid::UNKNOWN).then_some(Event { at_ns, pid, tid, what })
}

fn wakeup_bytes(ring_bytes: usize) -> u32 {
    u32::try_from(ring_bytes / 4).unwrap_or(u32::MAX)
}
