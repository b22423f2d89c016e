//! The memory of another process: which object an address is mapped from, and small reads.

use crate::sys::pid::Pid;
use std::io::IoSliceMut;

use nix::sys::uio::{RemoteIoVec, process_vm_readv};

/// The identity of a word in memory, by which the same shared word is recognized in two processes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Word {
    /// A word in a shared mapping of a file or shared memory object.
    Shared {
        /// The object's device, as `major:minor`.
        device: String,
        /// The object's inode.
        inode: u64,
        /// The offset of the word in the object, in bytes.
        offset: u64,
        /// The object's path, with `(deleted)` if it was removed.
        path: String,
    },
    /// A word in private memory.
    Private {
        /// The process.
        pid: Pid,
        /// The address.
        address: u64,
    },
}

/// The part of `/proc/PID/maps` that is read.
const MOST_MAPS: u64 = 4 << 20;

/// The word at `address` in process `pid`, from the first 4 MiB of `/proc/PID/maps`.
pub fn word_at(pid: Pid, address: u64) -> Option<Word> {
    let text = super::table_text(format!("/proc/{pid}/maps"), MOST_MAPS).ok()?;
    text.lines().find_map(|line| in_mapping(line, pid, address))
}

/// Parses a line such as `7f00-7f10 rw-s 00000000 00:01 1234   /dev/shm/sem.x (deleted)`.
fn in_mapping(line: &str, pid: Pid, address: u64) -> Option<Word> {
    let mut words = line.split_ascii_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let start = u64::from_str_radix(start, 16).ok()?;
    if !(start..u64::from_str_radix(end, 16).ok()?).contains(&address) {
        return None;
    }
    let shared = words.next()?.ends_with('s');
    let offset = u64::from_str_radix(words.next()?, 16).ok()?;
    let device = words.next()?.to_owned();
    let inode = words.next()?.parse().ok()?;
    let path = words.collect::<Vec<_>>().join(" ");
    Some(if shared {
        Word::Shared { device, inode, offset: offset + (address - start), path }
    } else {
        Word::Private { pid, address }
    })
}

/// Whether process `pid` maps the shared object with this device and inode.
pub fn maps_object(pid: Pid, device: &str, inode: u64) -> bool {
    let Ok(text) = super::table_text(format!("/proc/{pid}/maps"), MOST_MAPS) else { return false };
    text.lines().any(|line| {
        let mut words = line.split_ascii_whitespace().skip(3);
        words.next() == Some(device) && words.next().and_then(|number| number.parse().ok()) == Some(inode)
    })
}

/// Reads `N` bytes of process `pid` at `address` (`process_vm_readv(2)`); `None` if they cannot be read.
pub fn read<const N: usize>(pid: Pid, address: u64) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let base = usize::try_from(address).ok()?;
    let pid = pid.as_nix();
    let read = process_vm_readv(pid, &mut [IoSliceMut::new(&mut bytes)], &[RemoteIoVec { base, len: N }]);
    (read == Ok(N)).then_some(bytes)
}

/// Reads a NUL-terminated string of process `pid`, such as a path, of at most 4,096 bytes.
pub fn read_string(pid: Pid, address: u64) -> Option<std::path::PathBuf> {
    use std::os::unix::ffi::OsStringExt;
    const PIECE: u64 = 64;
    const MOST: usize = 4096;
    let mut text = Vec::new();
    while text.len() < MOST {
        // No piece crosses a page boundary, because the next page may not be mapped.
        let at = address.checked_add(text.len() as u64)?;
        let skip = at % PIECE;
        let piece = read::<{ PIECE as usize }>(pid, at - skip)?;
        let piece = &piece[skip as usize..];
        match piece.iter().position(|&byte| byte == 0) {
            Some(end) => {
                text.extend(&piece[..end]);
                return Some(std::ffi::OsString::from_vec(text).into());
            }
            None => text.extend(piece),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_of_this_process_is_found_and_read() {
        let word = 0x1234_5678_u32;
        let address = (&raw const word).addr() as u64;
        let pid = Pid::this();
        assert_eq!(word_at(pid, address), Some(Word::Private { pid, address }));
        assert_eq!(read::<4>(pid, address), Some(word.to_ne_bytes()));
        assert_eq!(read::<4>(pid, 8), None);
    }

    #[test]
    fn a_string_is_read_to_its_end() {
        let path = c"a/rather/long/path/that/takes/more/than/one/piece/of/sixty-four/bytes/to/be/read";
        let read = read_string(Pid::this(), path.as_ptr().addr() as u64).unwrap();
        assert_eq!(read.to_str(), path.to_str().ok());
    }

    #[test]
    fn a_shared_word_is_identified_by_its_object_and_offset() {
        let line = "7f0000001000-7f0000002000 rw-s 00001000 00:1a 55 /dev/shm/sem.x (deleted)";
        let word = in_mapping(line, Pid::from_raw(1), 0x7f00_0000_1010).unwrap();
        let path = "/dev/shm/sem.x (deleted)".to_owned();
        assert_eq!(word, Word::Shared { device: "00:1a".to_owned(), inode: 55, offset: 0x1010, path });
    }
}
