//! The hand-over between the scheduler and real processes: exactly one of them runs at a time.
//!
//! Workers persist: a process is started once and runs its body again for every execution, for
//! starting one takes as long as many executions. What a step does happens for real.

mod scheduler;
mod slot;
mod worker;

pub use scheduler::{Gate, GateError};
pub use worker::{StepContext, WorkerSlot};
