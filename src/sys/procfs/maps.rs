//! `/proc/PID/maps`: the mappings of a process.

use std::io::Read;

use crate::sys::pid::Pid;

/// The most bytes of the file that are read.
const MOST: u64 = 4 << 20;

/// One mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// Its first address.
    pub start: u64,
    /// The address after its last.
    pub end: u64,
    /// Whether the process may write to it.
    pub is_writable: bool,
    /// Whether it may execute it.
    pub is_executable: bool,
    /// Whether what is written to it is shared.
    pub is_shared: bool,
    /// Whether the dynamic loader lies here.
    pub is_loader: bool,
    /// What is mapped: a path, a name in brackets, or nothing.
    pub path: String,
}

impl Mapping {
    /// Whether the address lies in it.
    pub fn holds(&self, address: u64) -> bool {
        (self.start..self.end).contains(&address)
    }
}

/// The mappings of a process, in order of their addresses; none if this process may not inspect it.
pub fn of(pid: Pid) -> Vec<Mapping> {
    // A process has dozens of mappings, of about 100 bytes each; the kernel prints a page at a time.
    let mut text = String::with_capacity(8 << 10);
    let file = std::fs::File::open(format!("/proc/{pid}/maps"));
    let _ = file.and_then(|file| file.take(MOST).read_to_string(&mut text));
    text.lines().filter_map(parse).collect()
}

/// Parses a line such as `7f00-7f10 rw-s 00000000 00:01 1234   /dev/shm/sem.x (deleted)`.
fn parse(line: &str) -> Option<Mapping> {
    let mut words = line.split_ascii_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let bound = |text| u64::from_str_radix(text, 16).ok();
    let mode = words.next()?.as_bytes();
    let path = words.skip(3).collect::<Vec<_>>().join(" ");
    let file = path.rsplit('/').next().unwrap_or_default();
    Some(Mapping {
        start: bound(start)?,
        end: bound(end)?,
        is_writable: mode.get(1) == Some(&b'w'),
        is_executable: mode.get(2) == Some(&b'x'),
        is_shared: mode.get(3) == Some(&b's'),
        is_loader: file.starts_with("ld-") || file.starts_with("ld."),
        path,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_holds_bounds_permissions_and_the_file() {
        let map = parse("7f1000-7f3000 rw-s 00000000 00:01 1234   /dev/shm/sem.x (deleted)").unwrap();
        assert_eq!((map.start, map.end), (0x7f_1000, 0x7f_3000));
        assert!(map.is_writable && map.is_shared && map.holds(0x7f_1fff) && !map.holds(0x7f_3000));
        assert_eq!(map.path, "/dev/shm/sem.x (deleted)");
        let loader = parse("7f0-7f1 r-xp 0 00:01 1 /lib64/ld-linux-x86-64.so.2").unwrap();
        assert!(loader.is_loader && !loader.is_writable && !loader.is_shared);
        assert!(parse("").is_none() && parse("x-y r").is_none());
    }

    #[test]
    fn this_process_has_a_stack() {
        let local = 0_u8;
        let maps = of(Pid::this());
        assert!(maps.iter().any(|map| map.is_writable && map.holds((&raw const local) as u64)));
    }
}
