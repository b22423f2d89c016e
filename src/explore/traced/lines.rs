//! The source line of a step, from the debugging information (DWARF) of the program's executable.
//!
//! A system call is made in the C library, so the line is that of the innermost caller that has one. The return addresses
//! are searched on the stack: words that point behind a call instruction of the executable. That is a guess, which a word
//! that an earlier call left behind can mislead; it is shown to people and decides nothing.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::sys::pid::Pid;
use crate::sys::procfs::maps;
use crate::sys::ptrace::arch::Registers;
use crate::sys::ptrace::memory;

/// How much of the stack is searched, in bytes.
const DEPTH: usize = 4096;
/// The longest call instruction, in bytes.
const LONGEST_CALL: u64 = 7;
/// The largest executable that is read, in bytes.
const LARGEST: u64 = 1 << 30;

/// The debugging information of executables, as far as it was needed.
#[derive(Default)]
pub(super) struct Lines {
    known: HashMap<PathBuf, Option<Executable>>,
}

struct Executable {
    /// Whether it is mapped at the addresses in the file.
    is_fixed: bool,
    information: addr2line::Loader,
}

impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lines").field("known", &self.known.keys()).finish()
    }
}

impl Lines {
    /// The line at which a stopped task is, as `program.c:12`; `None` if there is none.
    pub(super) fn of(&mut self, tid: Pid) -> Option<String> {
        let path = std::fs::read_link(format!("/proc/{tid}/exe")).ok()?;
        if !self.known.contains_key(&path) {
            let read = Executable::read(Path::new(&format!("/proc/{tid}/exe")));
            self.known.insert(path.clone(), read);
        }
        let executable = self.known.get(&path)?.as_ref()?;
        let maps: Vec<_> =
            maps::of(tid).into_iter().filter(|map| path.as_os_str() == map.path.as_str()).collect();
        let base = if executable.is_fixed { 0 } else { maps.first()?.start };
        let registers = Registers::of(tid).ok()?;
        let stack = memory::read(tid, registers.stack(), DEPTH).unwrap_or_default();
        let words = stack.chunks_exact(8).filter_map(|word| word.try_into().ok().map(u64::from_le_bytes));
        let is_inside = |address: &u64| maps.iter().any(|map| map.holds(*address));
        let callers = words.filter(is_inside).filter(|address| follows_call(tid, *address));
        let here = Some(registers.instruction()).filter(is_inside);
        // A return address may belong to the next line already.
        here.into_iter().chain(callers.map(|address| address - 1)).find_map(|address| {
            let location = executable.information.find_location(address - base).ok()??;
            let file = location.file.filter(|file| !file.starts_with("/rustc/"))?;
            let name = Path::new(file).file_name()?.to_string_lossy().into_owned();
            Some(format!("{name}:{}", location.line.filter(|line| *line > 0)?))
        })
    }
}

impl Executable {
    fn read(path: &Path) -> Option<Self> {
        let length = std::fs::metadata(path).ok()?.len();
        let mut head = [0; 18];
        std::io::Read::read_exact(&mut std::fs::File::open(path).ok()?, &mut head).ok()?;
        // `e_type` of the ELF header: `ET_EXEC`.
        let is_fixed = u16::from_le_bytes([head[16], head[17]]) == 2;
        (length <= LARGEST).then_some(())?;
        Some(Self { is_fixed, information: addr2line::Loader::new(path).ok()? })
    }
}

/// Whether a call instruction ends at the address: direct, or through a register or memory.
fn follows_call(tid: Pid, address: u64) -> bool {
    let Ok(code) = memory::array::<{ LONGEST_CALL as usize }>(tid, address.saturating_sub(LONGEST_CALL))
    else {
        return false;
    };
    let [.., e, _, _, _, _] = code;
    let is_indirect = |at: usize| code[at] == 0xff && code[at + 1] >> 3 & 7 == 2;
    e == 0xe8 || [0, 1, 3, 4, 5].into_iter().any(is_indirect)
}
