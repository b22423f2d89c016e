//! The dynamic loader (`ld.so(8)`), which is the same at the same address in each process.
//!
//! It opens libraries by their names, which are looked at like all names. What it then does with the descriptors that it has
//! opened, and what it maps, no other process observes, unless a library is in the folder; so these calls need not stop. It
//! also reads the time stamp counter, which traps, for statistics that it shows on request (`LD_DEBUG=statistics`). These
//! instructions are passed over, and once their addresses are known they are replaced when a program is executed.

use std::collections::BTreeSet;
use std::ops::Range;

use super::machine::Machine;
use crate::sys::procfs::maps;
use crate::sys::ptrace::memory;

/// The fact that some programs have no dynamic loader, or another.
const DIFFERS: &str = "programs are loaded in different ways";
/// The fact that a loader looks for libraries in the folder.
const READS_FOLDER: &str = "a loader reads the folder";
/// The bytes at its beginning that identify a loader: its headers and its build ID.
const HEAD: usize = 1024;
/// `rdtsc`, and an instruction of the same length that does nothing.
const READS_COUNTER: [u8; 2] = [0x0f, 0x31];
const DOES_NOTHING: [u8; 2] = [0x66, 0x90];

/// The loaders of the programs that have been executed.
#[derive(Debug, Default)]
pub(super) struct Loaders {
    known: Option<Loader>,
    /// Whether a program had another, or none.
    has_others: bool,
}

/// The loader of glibc.
#[derive(Debug)]
struct Loader {
    base: u64,
    head: Vec<u8>,
    text: Range<u64>,
    /// Where it reads the time stamp counter.
    counters: BTreeSet<u64>,
}

impl Machine {
    /// Records the loader at the address `base` of a task that has just executed a program, 0 if it has none.
    pub(super) fn meet_loader(&mut self, index: usize, base: u64) {
        if self.world.learned.contains(DIFFERS) {
            return;
        }
        let tid = self.world.tid(index);
        let head = memory::read(tid, base, HEAD).unwrap_or_default();
        match &self.loaders.known {
            Some(known) if base != 0 && known.base == base && known.head == head => {
                for address in &known.counters {
                    // If it fails, the instruction traps.
                    let _ = memory::replace(tid, *address, READS_COUNTER, DOES_NOTHING);
                }
                return;
            }
            Some(_) => self.loaders.has_others = true,
            None => match text_of(&maps::of(tid), base) {
                Some(text) => {
                    self.loaders.known = Some(Loader { base, head, text, counters: BTreeSet::new() });
                }
                None => self.loaders.has_others = true,
            },
        }
        if self.loaders.has_others && self.loaders.known.is_some() {
            self.world.learn(DIFFERS.to_owned());
        }
    }

    /// The addresses of the loader's instructions, if its calls need not stop.
    pub(super) fn silent_loader(&self) -> Option<Range<u64>> {
        let is_known = |fact: &str| self.world.learned.contains(fact);
        let known = self.loaders.known.as_ref().filter(|_| !is_known(DIFFERS) && !is_known(READS_FOLDER));
        known.map(|loader| loader.text.clone())
    }

    /// Records that the instruction at `address` has made a call that is a step.
    pub(super) fn has_made_step(&mut self, address: u64) {
        if self.loaders.known.as_ref().is_some_and(|loader| loader.text.contains(&address)) {
            self.world.learn(READS_FOLDER.to_owned());
        }
    }

    /// Whether the instruction at `address`, which begins with `code`, is one with which the loader measures itself.
    pub(super) fn measures_loading(&mut self, address: u64, code: &[u8]) -> bool {
        let loader = self.loaders.known.as_mut().filter(|_| !self.world.learned.contains(DIFFERS));
        let loader = loader.filter(|loader| loader.text.contains(&address));
        let Some(loader) = loader.filter(|_| code.starts_with(&READS_COUNTER)) else { return false };
        loader.counters.insert(address);
        true
    }
}

/// The addresses of the instructions of the loader that is mapped at `base`, if it is that of glibc. That of musl is the C
/// library too, so that its calls are those of the program.
fn text_of(maps: &[maps::Mapping], base: u64) -> Option<Range<u64>> {
    let path = &maps.iter().find(|map| map.start == base)?.path;
    let name = path.rsplit('/').next()?;
    let is_glibc = name.starts_with("ld-linux") || name.starts_with("ld-2.");
    let text = maps.iter().find(|map| map.is_executable && map.path == *path)?;
    is_glibc.then_some(text.start..text.end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(start: u64, end: u64, is_executable: bool, path: &str) -> maps::Mapping {
        let path = path.to_owned();
        maps::Mapping {
            start,
            end,
            is_executable,
            is_writable: false,
            is_shared: false,
            is_loader: true,
            path,
        }
    }

    #[test]
    fn the_instructions_of_a_loader_are_those_of_glibc_alone() {
        let maps = |path| {
            [
                mapping(0x1000, 0x2000, true, "/bin/true"),
                mapping(0x7000, 0x8000, false, path),
                mapping(0x8000, 0x9000, true, path),
            ]
        };
        assert_eq!(text_of(&maps("/lib64/ld-linux-x86-64.so.2"), 0x7000), Some(0x8000..0x9000));
        assert_eq!(text_of(&maps("/lib/x86_64-linux-gnu/ld-2.31.so"), 0x7000), Some(0x8000..0x9000));
        assert_eq!(text_of(&maps("/lib/ld-musl-x86_64.so.1"), 0x7000), None);
        assert_eq!(text_of(&maps("/lib64/ld-linux-x86-64.so.2"), 0x6000), None, "nothing is mapped there");
    }
}
