//! `perf_event_open(2)`: the kernel's own record of every switch, fork, exec, and exit.
//!
//! Unprivileged use is allowed for one's own processes up to `perf_event_paranoid` 2, because the
//! events carry no kernel data: `context_switch=1` was added for exactly that (Linux 4.3).

pub mod event;
pub mod record;
pub mod ring;
pub mod tracepoint;
