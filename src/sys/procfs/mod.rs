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

/// Reads a short file such as `/proc/PID/status`, in one call if it can.
///
/// # Errors
/// As `open(2)`: `ENOENT` or `ESRCH` when the process is gone.
pub fn short_text(path: impl AsRef<std::path::Path>) -> io::Result<String> {
    read_short(File::open(path)?)
}

/// At most `most` bytes of a table, with few calls: the kernel prints as many rows as the buffer has room for.
///
/// # Errors
/// As [`short_text`].
fn table_text(path: impl AsRef<std::path::Path>, most: u64) -> io::Result<String> {
    let mut text = String::with_capacity(64 << 10);
    File::open(path)?.take(most).read_to_string(&mut text)?;
    Ok(text)
}

/// As [`short_text`], for a file that may hold a name that is not UTF-8.
///
/// # Errors
/// As [`short_text`].
fn short_bytes(path: impl AsRef<std::path::Path>) -> io::Result<Vec<u8>> {
    read_bytes(File::open(path)?)
}

/// Reads a file that the kernel prints in one piece (`single_open` in its `seq_file.h`) and that is usually shorter
/// than a few KiB, in one call: a read that does not fill the buffer has returned all of it.
fn read_short(file: File) -> io::Result<String> {
    String::from_utf8(read_bytes(file)?).map_err(io::Error::other)
}

fn read_bytes(mut file: File) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; 8 << 10];
    let n = file.read(&mut bytes)?;
    let is_all = n < bytes.len();
    bytes.truncate(n);
    if !is_all {
        file.read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}
