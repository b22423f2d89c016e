//! `ptrace(2)` with a seccomp filter: another program, stopped at each of its calls that matters.

/// Numbers and registers of this processor's system calls: the one file that knows the architecture.
pub mod arch;
/// Which calls stop the program, and which are refused.
pub mod filter;
/// The memory of a stopped process.
pub mod memory;
/// Namespaces in which process numbers can be chosen.
pub mod namespace;
/// Questions to the kernel that change nothing: would this lock be granted, is this end ready?
pub mod probe;
/// A program that is traced from its first instruction.
pub mod start;
/// Stops, and how to go on from them.
pub mod stops;
