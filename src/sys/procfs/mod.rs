//! `/proc`: what processes do and what they wait for (`proc(5)`).
//!
//! Every value is a snapshot. The process may change or disappear between two reads, so most reads return an
//! `Option`, and callers verify that values belong together.

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

use std::io::{self, Read};
use std::path::Path;

/// Reads a file that is usually shorter than a few KiB, in few system calls: procfs reports no length, and reading
/// with a small initial buffer takes many calls.
pub(crate) fn read_short(path: impl AsRef<Path>) -> io::Result<String> {
    let mut text = String::with_capacity(8 << 10);
    std::fs::File::open(path)?.read_to_string(&mut text)?;
    Ok(text)
}
