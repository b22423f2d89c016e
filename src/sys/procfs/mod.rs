//! `/proc`: what processes do and what they wait for (`proc(5)`).
//!
//! Every value is a snapshot. The process may change or disappear between two reads, so most reads return an
//! `Option`, and callers verify that values belong together.

pub mod cgroup;
pub mod descriptors;
pub mod locks;
pub mod maps;
pub mod memory;
pub mod signals;
pub mod sockets;
pub mod stat;
pub mod status;
pub mod syscall;
pub mod task;
pub mod text;
pub mod tree;

use std::fs::File;
use std::io::{self, Read};

/// Reads a file that the kernel prints in one piece (`single_open` in its `seq_file.h`) and that is usually shorter
/// than a few KiB, in one call: a read that does not fill the buffer has returned all of it.
fn read_short(mut file: File) -> io::Result<String> {
    let mut bytes = vec![0; 8 << 10];
    let n = file.read(&mut bytes)?;
    let is_all = n < bytes.len();
    bytes.truncate(n);
    if !is_all {
        file.read_to_end(&mut bytes)?;
    }
    String::from_utf8(bytes).map_err(io::Error::other)
}
