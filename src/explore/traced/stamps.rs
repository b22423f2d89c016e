//! Times, inode numbers and the order of directory entries, which the kernel would choose differently in every execution.
//! They are replaced by values that depend only on the steps before.
//!
//! The time of a file is the virtual time of the last step that changed it. Initial files have times in the order of those
//! in the user's folder.

use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::libc;
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;

use super::objects::Opened;
use super::scratch::Tree;
use super::world::World;
use crate::explore::step::{Access, Label, Touch};
use crate::sys::ptrace::memory;

/// The beginning of every execution: 2100-01-01 00:00 UTC, in nanoseconds. It is later than any file, because make would
/// warn otherwise.
pub(super) const BEGIN: u64 = 4_102_444_800_000_000_000;
/// The initial value of the monotonic clocks, in nanoseconds.
pub(super) const UPTIME: u64 = 1_000_000_000_000;
/// The duration of a step, in nanoseconds.
const STEP: u64 = 1_000_000;
const SECOND: u64 = 1_000_000_000;
/// The device number of all files of the folder.
const DEVICE: u64 = 0x2a;

/// The virtual time at which an object was last read, added to and changed, in nanoseconds.
pub(super) type Times = HashMap<Label, [u64; 3]>;

/// The times of the files of a folder, in the order of their modification times.
#[derive(Clone, Debug, Default)]
pub(super) struct Ranks(Vec<(PathBuf, u64)>);

impl Ranks {
    /// The ranks of the files in `directory`.
    pub(super) fn of(directory: Option<&Path>, tree: &Tree) -> Self {
        let time = |name: &PathBuf| {
            let meta = std::fs::symlink_metadata(directory?.join(name)).ok()?;
            Some((meta.mtime(), meta.mtime_nsec()))
        };
        let times: Vec<_> = tree.keys().map(|name| (name.clone(), time(name).unwrap_or_default())).collect();
        let mut ranks: Vec<_> = times.iter().map(|(_, time)| *time).collect();
        ranks.sort_unstable();
        ranks.dedup();
        let rank = |time| ranks.partition_point(|other| *other <= time) as u64;
        let seconds = |time| BEGIN / SECOND - 1 - ranks.len() as u64 + rank(time);
        // Inner files first, because writing to a folder changes its time.
        Self(times.into_iter().rev().map(|(name, time)| (name, seconds(time))).collect())
    }

    /// Sets them in the copy at `root`.
    pub(super) fn apply(&self, root: &Path) {
        for (name, seconds) in &self.0 {
            let time = TimeSpec::new(seconds.cast_signed(), 0);
            let _ = utimensat(
                nix::fcntl::AT_FDCWD,
                &root.join(name),
                &time,
                &time,
                UtimensatFlags::NoFollowSymlink,
            );
        }
    }
}

impl World {
    /// Advances the virtual time of a task for a step with these accesses. The step is later than all steps on which it
    /// depends, and than no others, so equivalent schedules have equal times.
    pub(super) fn pass_time(&mut self, task: usize, touches: &[Touch], after_all: bool) {
        self.meets_maps(task, touches);
        let mut now = self.tasks[task].clock;
        if after_all {
            now = self.tasks.iter().map(|task| task.clock).fold(now, u64::max);
        }
        for touch in touches {
            let [read, added, changed] = self.times.get(&touch.object).copied().unwrap_or_default();
            now = now.max(match touch.access {
                Access::Read => added.max(changed),
                Access::Add => read.max(changed),
                _ => read.max(added).max(changed),
            });
        }
        now += STEP;
        self.tasks[task].clock = now;
        for touch in touches {
            let kind = match touch.access {
                Access::Read => 0,
                Access::Add => 1,
                _ => 2,
            };
            let known = &mut self.times.entry(touch.object).or_default()[kind];
            *known = now.max(*known);
        }
    }

    /// When the file was last changed, in nanoseconds; `None` if it was not changed in this execution.
    fn changed_at(&self, file: &str) -> Option<u64> {
        let at = |what: &str| self.times.get(&Label::new(&format!("{what} {file}"))).copied();
        let content = at("file").map_or(0, |[_, _, changed]| changed);
        let list = at("list").map_or(0, |[_, added, changed]| added.max(changed));
        let name = at("name").map_or(0, |[_, _, changed]| changed);
        // A change of the name counts only if it created the file.
        let changed = content.max(list).max(if self.made.contains(file) { name } else { 0 });
        if let Some((since, given)) = self.given_times.get(file)
            && *since >= content.max(list)
        {
            return Some(*given);
        }
        (changed > 0).then_some(BEGIN + changed)
    }

    /// `struct stat` at `address`: inode number, device and times.
    pub(super) fn tidy_stat(&mut self, task: usize, address: u64) {
        let tid = self.tid(task);
        let Ok(head) = memory::array::<16>(tid, address) else { return };
        let (device, inode) = (word(&head, 0), word(&head, 8));
        let Ok(time) = memory::array::<16>(tid, address + 88) else { return };
        let kernel = word(&time, 0).saturating_mul(SECOND).saturating_add(word(&time, 8));
        let (name, time) = self.tidied((device, inode), kernel);
        if name.as_deref() == Some(".") {
            // The link count, the size and the number of blocks.
            for (at, value) in [(16, 2_u64), (48, 4096), (64, 8)] {
                let _ = memory::write(tid, address + at, &value.to_ne_bytes());
            }
        }
        let time = [(time / SECOND).to_ne_bytes(), (time % SECOND).to_ne_bytes()].concat();
        let _ = memory::write(tid, address + 72, &time.repeat(3));
        if let Some(name) = name {
            let head = [DEVICE.to_ne_bytes(), inode_of(&name).to_ne_bytes()].concat();
            let _ = memory::write(tid, address, &head);
        }
    }

    /// The same for `struct statx`.
    pub(super) fn tidy_statx(&mut self, task: usize, address: u64) {
        let tid = self.tid(task);
        let Ok(bytes) = memory::read(tid, address, 144) else { return };
        if bytes.len() < 144 {
            return;
        }
        let half = |at: usize| u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap_or_default());
        let device = libc::makedev(half(136), half(140));
        let kernel = word(&bytes, 112).saturating_mul(SECOND).saturating_add(half(120).into());
        let (name, time) = self.tidied((device, word(&bytes, 32)), kernel);
        if name.as_deref() == Some(".") {
            let _ = memory::write(tid, address + 16, &2_u32.to_ne_bytes());
            let _ = memory::write(tid, address + 40, &[4096_u64.to_ne_bytes(), 8_u64.to_ne_bytes()].concat());
        }
        let stamp =
            [&(time / SECOND).to_ne_bytes()[..], &((time % SECOND) as u32).to_ne_bytes(), &[0; 4]].concat();
        for at in [64, 80, 96, 112] {
            let _ = memory::write(tid, address + at, &stamp);
        }
        if let Some(name) = name {
            let _ = memory::write(tid, address + 32, &inode_of(&name).to_ne_bytes());
            let _ = memory::write(
                tid,
                address + 136,
                &[0_u32.to_ne_bytes(), (DEVICE as u32).to_ne_bytes()].concat(),
            );
        }
    }

    /// The name of a file, if it is the program's own, and the time to report.
    fn tidied(&mut self, inode: (u64, u64), kernel: u64) -> (Option<String>, u64) {
        if let Some(stream) = self.streams.iter().position(|stream| *stream == inode) {
            return (Some(format!("stream {stream}")), BEGIN);
        }
        let Some(name) = self.objects.known(inode).map(str::to_owned) else { return (None, kernel) };
        if name == "." {
            // A `stat` of the folder itself is not a step, so it must not reveal what happens in it.
            return (Some(name), BEGIN);
        }
        let time = self.changed_at(&name).unwrap_or(if kernel < BEGIN { kernel } else { BEGIN });
        (Some(name), time)
    }

    /// Sorts the entries that `getdents64` has written to `address` by name, and replaces their inode numbers as `stat` does.
    /// The kernel lists them in order of creation, in which equivalent schedules may differ.
    pub(super) fn tidy_list(&mut self, task: usize, fd: i32, address: u64, length: usize) {
        let Opened::Directory(folder) = self.opened(task, fd) else { return };
        let tid = self.tid(task);
        let Ok(bytes) = memory::read(tid, address, length) else { return };
        let device = std::fs::metadata(&self.root).map_or(0, |meta| meta.dev());
        let mut entries: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        let mut offsets = Vec::new();
        let mut rest = &bytes[..];
        while rest.len() >= 19 {
            let size = usize::from(u16::from_ne_bytes([rest[16], rest[17]]));
            if size < 19 || size > rest.len() {
                return;
            }
            let (entry, after) = rest.split_at(size);
            let name = entry[19..].split(|byte| *byte == 0).next().unwrap_or_default().to_vec();
            offsets.push(entry[8..16].to_vec());
            let mut entry = entry.to_vec();
            let text = String::from_utf8_lossy(&name);
            let path = match (text.as_ref(), folder.as_str()) {
                (".", _) => Some(folder.clone()),
                // It is not the program's, and must not take the name of a file of the folder.
                ("..", ".") => None,
                ("..", _) => Some(folder.rsplit_once('/').map_or(".", |(parent, _)| parent).to_owned()),
                (name, ".") => Some(name.to_owned()),
                (name, folder) => Some(format!("{folder}/{name}")),
            };
            let inode = (device, word(&entry, 0));
            let object = path.map_or_else(|| "..".to_owned(), |path| self.objects.name(inode, &path));
            entry[..8].copy_from_slice(&inode_of(&object).to_ne_bytes());
            entries.push((name, entry));
            rest = after;
        }
        entries.sort();
        let mut sorted = Vec::with_capacity(bytes.len());
        // An offset belongs to a position in the list, not to a name.
        for ((_, mut entry), offset) in entries.into_iter().zip(offsets) {
            entry[8..16].copy_from_slice(&offset);
            sorted.extend(entry);
        }
        let _ = memory::write(tid, address, &sorted);
    }

    /// Records a time that the program itself sets; `times` points to the access and modification times.
    pub(super) fn give_time(&mut self, task: usize, file: &str, times: u64, micro: bool) {
        const UTIME_NOW: u64 = 0x3fff_ffff;
        const UTIME_OMIT: u64 = 0x3fff_fffe;
        if times == 0 {
            return;
        }
        let Ok(bytes) = memory::array::<16>(self.tid(task), times + 16) else { return };
        let (seconds, part) = (word(&bytes, 0), word(&bytes, 8));
        let nanos = match part {
            UTIME_NOW | UTIME_OMIT if !micro => return,
            part if micro => part.saturating_mul(1000),
            part => part,
        };
        let since = self.tasks[task].clock;
        self.given_times
            .insert(file.to_owned(), (since, seconds.saturating_mul(SECOND).saturating_add(nanos)));
    }
}

fn word(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|word| word.try_into().ok()).map_or(0, u64::from_ne_bytes)
}

/// The inode number to report.
fn inode_of(name: &str) -> u64 {
    hash(name) % (1 << 31)
}

/// A hash of the text (FNV-1a).
pub(super) fn hash(text: &str) -> u64 {
    Path::new(text).as_os_str().as_bytes().iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
