//! The hand-over between the scheduler and real processes: exactly one runs at a time.
//!
//! Workers persist: a process is started once and runs its body again for each execution, because
//! starting one takes as long as many executions. The operation of each step is really carried out.

mod scheduler;
mod slot;
mod worker;

pub use scheduler::{Gate, GateError};
pub use worker::{StepContext, WorkerSlot};
