//! The descriptors of a process, as far as they were asked about.
//!
//! Only a call that stops opens, closes or replaces a descriptor that matters, so what is known holds until then.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;

use nix::libc;

use super::objects::Opened;
use super::world::World;

/// A descriptor of a pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PipeEnd {
    /// Device and inode of the pipe.
    pub(super) inode: (u64, u64),
    /// Whether it can be read from, and written to.
    pub(super) modes: [bool; 2],
}

/// What is known of the descriptors of a process.
#[derive(Clone, Debug, Default)]
pub(super) struct DescriptorTable {
    opened: HashMap<i32, Opened>,
    ends: HashMap<i32, Option<PipeEnd>>,
}

impl DescriptorTable {
    /// What the descriptor refers to.
    pub(super) fn opened(&self, fd: i32) -> Option<&Opened> {
        self.opened.get(&fd)
    }

    pub(super) fn set_opened(&mut self, fd: i32, opened: Opened) {
        self.opened.insert(fd, opened);
    }

    /// Forgets all descriptors but these.
    pub(super) fn retain(&mut self, is_kept: impl Fn(i32) -> bool) {
        self.opened.retain(|fd, _| is_kept(*fd));
        self.ends.retain(|fd, _| is_kept(*fd));
    }
}

impl World {
    /// Forgets a descriptor that has been closed or replaced, or that nothing asks about before it is.
    pub(super) fn forget(&mut self, index: usize, fd: i32) {
        let table = &mut self.process_mut(index).descriptors;
        table.opened.remove(&fd);
        table.ends.remove(&fd);
    }

    /// The open descriptors of the process of a task.
    pub(super) fn open_descriptors(&mut self, index: usize) -> Vec<i32> {
        let process = self.tasks[index].process;
        if let Some((_, open)) = self.open.as_ref().filter(|(owner, _)| *owner == process) {
            return open.clone();
        }
        let entries = std::fs::read_dir(format!("/proc/{}/fd", self.tid(index)));
        let entries = entries.into_iter().flatten().filter_map(Result::ok);
        let open: Vec<i32> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
        self.open = Some((process, open.clone()));
        open
    }

    /// The end of a pipe to which the descriptor refers, if it does.
    pub(super) fn pipe_end(&mut self, index: usize, fd: i32) -> Option<PipeEnd> {
        let table = &self.process(index).descriptors;
        if table.opened(fd).is_some_and(|known| !matches!(known, Opened::Pipe(_) | Opened::Stream(_))) {
            return None;
        }
        if let Some(known) = table.ends.get(&fd) {
            return *known;
        }
        let link = format!("/proc/{}/fd/{fd}", self.tid(index));
        let end = end_at(&link);
        self.process_mut(index).descriptors.ends.insert(fd, end);
        end
    }
}

/// The end of a pipe to which a link in `/proc/PID/fd` leads; the mode of the link tells how it was opened.
fn end_at(link: &str) -> Option<PipeEnd> {
    let meta = std::fs::metadata(link).ok()?;
    if meta.mode() & libc::S_IFMT != libc::S_IFIFO {
        return None;
    }
    let mode = std::fs::symlink_metadata(link).ok()?.mode();
    Some(PipeEnd { inode: (meta.dev(), meta.ino()), modes: [mode & 0o400 != 0, mode & 0o200 != 0] })
}
