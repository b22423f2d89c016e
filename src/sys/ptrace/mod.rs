//! `ptrace(2)` with a seccomp filter, which stops another program at each relevant system call.

/// Numbers and registers of system calls, the only architecture-specific file.
pub mod arch;
/// Which calls stop the program, and which are refused.
pub mod filter;
/// The memory of a stopped process.
pub mod memory;
/// PID namespaces, in which PIDs can be chosen.
pub mod namespace;
/// The memory that an instruction is about to access.
pub mod operand;
/// Checks without side effects: whether a lock would be granted, whether a descriptor is ready.
pub mod probe;
/// Starting a program that is traced from its first instruction.
pub mod start;
/// Stops, and resuming from them.
pub mod stops;
/// Words of memory whose access stops a task.
pub mod watch;
