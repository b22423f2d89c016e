//! Parses the bytes of a perf ring into records (`linux/perf_event.h`, `perf_event_open(2)`).
//!
//! Lengths come from outside this program, so every field is read through a checked slice. A record that is too
//! short becomes [`Record::Other`], never a panic.

use crate::sys::pid::Pid;
use perf_event_open_sys::bindings as abi;

/// The task and the time of a record (`sample_id_all` with TID and TIME).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Process (thread group) that was on the CPU.
    pub pid: Pid,
    /// Thread that was on the CPU.
    pub tid: Pid,
    /// `CLOCK_MONOTONIC`, nanoseconds.
    pub at_ns: u64,
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record<'a> {
    /// The task was switched in.
    In(Stamp),
    /// The task was switched out.
    Out {
        /// The task and the time.
        stamp: Stamp,
        /// Whether it was still in `TASK_RUNNING`: ready, not blocked.
        preempted: bool,
    },
    /// A process or thread was created.
    Fork {
        /// The new process.
        pid: Pid,
        /// The new thread; equal to `pid` for a new process.
        tid: Pid,
        /// The process that created it.
        ppid: Pid,
        /// `CLOCK_MONOTONIC`, nanoseconds.
        at_ns: u64,
    },
    /// A thread exited.
    Exit {
        /// Its process.
        pid: Pid,
        /// The thread.
        tid: Pid,
        /// The parent of its process at that moment.
        ppid: Pid,
        /// `CLOCK_MONOTONIC`, nanoseconds.
        at_ns: u64,
    },
    /// A thread was named.
    Comm {
        /// Its process.
        pid: Pid,
        /// The thread.
        tid: Pid,
        /// The name, at most 15 bytes.
        name: &'a [u8],
        /// Whether `execve` named it.
        exec: bool,
        /// `CLOCK_MONOTONIC`, nanoseconds.
        at_ns: u64,
    },
    /// A tracepoint fired.
    Sample {
        /// The task on the CPU and the time.
        stamp: Stamp,
        /// The raw fields of the tracepoint, as its format describes them.
        raw: &'a [u8],
    },
    /// The ring was full: the number of records that were not written.
    Lost(u64),
    /// A record of another type, or one that is too short for its type.
    Other,
}

/// Parses one complete record, including its header.
pub fn parse(bytes: &[u8]) -> Record<'_> {
    read(bytes).unwrap_or(Record::Other)
}

fn read(bytes: &[u8]) -> Option<Record<'_>> {
    let kind = u32_at(bytes, 0)?;
    let misc = u32::from(u16_at(bytes, 4)?);
    let body = bytes.get(8..)?;
    Some(match kind {
        // The second type, of `Scope::Everyone`, also names the other task, which has a record of its own.
        abi::PERF_RECORD_SWITCH | abi::PERF_RECORD_SWITCH_CPU_WIDE => {
            let stamp = trailer(body)?;
            if misc & abi::PERF_RECORD_MISC_SWITCH_OUT == 0 {
                Record::In(stamp)
            } else {
                Record::Out { stamp, preempted: misc & abi::PERF_RECORD_MISC_SWITCH_OUT_PREEMPT != 0 }
            }
        }
        abi::PERF_RECORD_FORK | abi::PERF_RECORD_EXIT => {
            let (pid, ppid, tid) = (pid_at(body, 0)?, pid_at(body, 4)?, pid_at(body, 8)?);
            let at_ns = u64_at(body, 16)?;
            if kind == abi::PERF_RECORD_FORK {
                Record::Fork { pid, tid, ppid, at_ns }
            } else {
                Record::Exit { pid, tid, ppid, at_ns }
            }
        }
        abi::PERF_RECORD_COMM => {
            let stamp = trailer(body)?;
            let padded = body.get(8..body.len() - TRAILER)?;
            let name = padded.split(|&byte| byte == 0).next()?;
            let exec = misc & abi::PERF_RECORD_MISC_COMM_EXEC != 0;
            Record::Comm { pid: pid_at(body, 0)?, tid: pid_at(body, 4)?, name, exec, at_ns: stamp.at_ns }
        }
        abi::PERF_RECORD_SAMPLE => {
            let stamp = Stamp { pid: pid_at(body, 0)?, tid: pid_at(body, 4)?, at_ns: u64_at(body, 8)? };
            let length = usize::try_from(u32_at(body, 16)?).ok()?;
            Record::Sample { stamp, raw: body.get(20..20 + length)? }
        }
        abi::PERF_RECORD_LOST => Record::Lost(u64_at(body, 8)?),
        abi::PERF_RECORD_LOST_SAMPLES => Record::Lost(u64_at(body, 0)?),
        _ => Record::Other,
    })
}

/// The length of the stamp that `sample_id_all` appends to every record except samples.
const TRAILER: usize = 16;

fn trailer(body: &[u8]) -> Option<Stamp> {
    let stamp = body.get(body.len().checked_sub(TRAILER)?..)?;
    Some(Stamp { pid: pid_at(stamp, 0)?, tid: pid_at(stamp, 4)?, at_ns: u64_at(stamp, 8)? })
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn pid_at(bytes: &[u8], at: usize) -> Option<Pid> {
    Some(Pid::from_raw(u32_at(bytes, at)?.cast_signed()))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u32, misc: u32, body: &[u8]) -> Vec<u8> {
        let mut bytes = kind.to_ne_bytes().to_vec();
        bytes.extend((misc as u16).to_ne_bytes());
        bytes.extend(((8 + body.len()) as u16).to_ne_bytes());
        bytes.extend(body);
        bytes
    }

    fn stamp(pid: u32, tid: u32, at_ns: u64) -> Vec<u8> {
        [&pid.to_ne_bytes()[..], &tid.to_ne_bytes(), &at_ns.to_ne_bytes()].concat()
    }

    #[test]
    fn a_switch_out_distinguishes_preempted_from_blocked() {
        let out = abi::PERF_RECORD_MISC_SWITCH_OUT;
        let at = Stamp { pid: Pid::from_raw(7), tid: Pid::from_raw(8), at_ns: 9 };
        let blocked = record(abi::PERF_RECORD_SWITCH, out, &stamp(7, 8, 9));
        assert_eq!(parse(&blocked), Record::Out { stamp: at, preempted: false });
        let flags = out | abi::PERF_RECORD_MISC_SWITCH_OUT_PREEMPT;
        let ready = record(abi::PERF_RECORD_SWITCH, flags, &stamp(7, 8, 9));
        assert_eq!(parse(&ready), Record::Out { stamp: at, preempted: true });
        assert_eq!(parse(&record(abi::PERF_RECORD_SWITCH, 0, &stamp(7, 8, 9))), Record::In(at));
    }

    #[test]
    fn a_name_ends_at_its_first_nul() {
        let body = [&7u32.to_ne_bytes()[..], &8u32.to_ne_bytes(), b"sleep\0\0\0", &stamp(7, 8, 9)].concat();
        let bytes = record(abi::PERF_RECORD_COMM, abi::PERF_RECORD_MISC_COMM_EXEC, &body);
        assert_eq!(
            parse(&bytes),
            Record::Comm {
                pid: Pid::from_raw(7),
                tid: Pid::from_raw(8),
                name: b"sleep",
                exec: true,
                at_ns: 9
            }
        );
    }

    #[test]
    fn a_truncated_record_is_ignored_without_a_panic() {
        for kind in 0..24 {
            for length in 0..40 {
                let bytes = record(kind, 0, &vec![0xff; length]);
                let _ = parse(&bytes);
                let _ = parse(&bytes[..length.min(bytes.len())]);
            }
        }
        assert_eq!(parse(&record(abi::PERF_RECORD_EXIT, 0, &[0; 20])), Record::Other);
    }
}
