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

use std::io::{self, Read};
use std::path::Path;

/// The text of a file that is mostly shorter than a few KiB, in few reads: procfs tells no length, and a reader that
/// begins with a small buffer asks many times.
pub(crate) fn read_short(path: impl AsRef<Path>) -> io::Result<String> {
    let mut text = String::with_capacity(8 << 10);
    std::fs::File::open(path)?.read_to_string(&mut text)?;
    Ok(text)
}
