//! `perf_event_open(2)`: the kernel's own record of every context switch, fork, exec, and exit.
//!
//! An unprivileged user may record their own processes up to `perf_event_paranoid` 2, because these events carry
//! no kernel data. `context_switch=1` was added for this purpose (Linux 4.3).

pub mod event;
pub mod record;
pub mod ring;
pub mod tracepoint;
