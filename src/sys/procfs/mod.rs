//! `/proc`, as far as it tells what a process does and on what it waits (`proc(5)`).
//!
//! Every value is a moment's: the process may change or vanish between two reads, so each read gives an
//! `Option` and a caller compares what must belong together.

pub mod cgroup;
pub mod descriptors;
pub mod locks;
pub mod memory;
pub mod signals;
pub mod sockets;
pub mod stat;
pub mod status;
pub mod syscall;
pub mod task;
pub mod text;
pub mod tree;
