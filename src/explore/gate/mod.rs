//! Runs real processes one at a time, by handing control over between the scheduler and the workers.
//!
//! Workers persist: a process is started once and runs its body again for each execution, because starting one takes
//! as long as many executions. The operation of each step is actually executed.

mod scheduler;
mod slot;
mod worker;

pub use scheduler::{Gate, GateError};
pub use worker::{StepContext, WorkerSlot};
