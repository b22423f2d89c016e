//! Names of shared objects, which are the same in every execution.
//!
//! The kernel chooses inode numbers. A name is the path at which a file was first seen, with a count if another file was
//! first seen there. Pipes and sockets are named by their creator, in order of creation.

use std::collections::HashMap;
use std::fs::Metadata;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Component, Path, PathBuf};

use super::world::World;
use crate::sys::ptrace::namespace::SHARED_MEMORY;

/// The names assigned in this execution.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Objects {
    names: HashMap<(u64, u64), String>,
    given: HashMap<String, u32>,
}

impl Objects {
    /// The name of the inode, which becomes `name` if it has none.
    pub(super) fn name(&mut self, inode: (u64, u64), name: &str) -> String {
        if let Some(known) = self.names.get(&inode) {
            return known.clone();
        }
        let count = self.given.entry(name.to_owned()).or_insert(0);
        *count += 1;
        let name = if *count == 1 { name.to_owned() } else { format!("{name} #{count}") };
        self.names.insert(inode, name.clone());
        name
    }

    /// The same names in a folder that has been written anew; `None` if not every name is the path of a file in it.
    pub(super) fn anew(&self, root: &Path) -> Option<Self> {
        let names = self.names.values().map(|name| {
            let meta = std::fs::symlink_metadata(root.join(name)).ok()?;
            Some(((meta.dev(), meta.ino()), name.clone()))
        });
        let names: HashMap<_, _> = names.collect::<Option<_>>()?;
        (names.len() == self.names.len()).then(|| Self { names, given: self.given.clone() })
    }

    /// The name of the inode, if it has one.
    pub(super) fn known(&self, inode: (u64, u64)) -> Option<&str> {
        self.names.get(&inode).map(String::as_str)
    }
}

/// What a descriptor refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Opened {
    /// The program's own standard output (0) or error (1).
    Stream(usize),
    /// A file of the folder, by its object's name.
    File(String),
    /// A directory in the folder, by its path.
    Directory(String),
    /// A pipe or named pipe.
    Pipe(String),
    /// A socket.
    Socket(String),
    /// An eventfd, timerfd, epoll instance or similar.
    Anonymous(String),
    /// A device by its number, major and minor.
    Device(u64, u64),
    /// A file elsewhere.
    Elsewhere(PathBuf),
    /// Not open.
    Closed,
}

/// A path as a call resolves it.
#[derive(Debug)]
pub(super) struct Resolved {
    /// The names in the folder that were followed, without the last one.
    pub(super) way: Vec<String>,
    /// The path in the folder; `None` if it is elsewhere.
    pub(super) inside: Option<String>,
    /// The path on this machine.
    pub(super) path: PathBuf,
    /// What is there.
    pub(super) meta: Option<Metadata>,
}

/// The maximum number of symbolic links that are followed, as in the kernel.
const MAX_LINKS: usize = 40;

impl World {
    /// What descriptor `fd` of a task refers to.
    pub(super) fn opened(&mut self, index: usize, fd: i32) -> Opened {
        if let Some(known) = self.process(index).descriptors.opened(fd) {
            return known.clone();
        }
        let opened = self.look_up(index, fd);
        // A directory may be renamed, and the name of an anonymous one is that of the thread that asks.
        if !matches!(opened, Opened::Directory(_) | Opened::Anonymous(_) | Opened::Closed) {
            self.process_mut(index).descriptors.set_opened(fd, opened.clone());
        }
        opened
    }

    fn look_up(&mut self, index: usize, fd: i32) -> Opened {
        let link = format!("/proc/{}/fd/{fd}", self.tid(index));
        let Ok(meta) = std::fs::metadata(&link) else { return Opened::Closed };
        let inode = (meta.dev(), meta.ino());
        if let Some(stream) = self.streams.iter().position(|stream| *stream == inode) {
            return Opened::Stream(stream);
        }
        let kind = meta.file_type();
        if kind.is_file() || kind.is_dir() {
            if let Some(name) = self.objects.known(inode).filter(|_| kind.is_file()) {
                return Opened::File(name.to_owned());
            }
            let path = std::fs::read_link(&link).unwrap_or_default();
            return match self.inside(&path) {
                Some(inside) if kind.is_dir() => {
                    self.objects.name(inode, &inside);
                    Opened::Directory(inside)
                }
                Some(inside) => Opened::File(self.objects.name(inode, &inside)),
                None if path.as_os_str().as_encoded_bytes().starts_with(b"/memfd:") => {
                    Opened::File(self.named(index, inode, "memory file"))
                }
                None => Opened::Elsewhere(path),
            };
        }
        if kind.is_fifo() {
            return Opened::Pipe(self.named(index, inode, "pipe"));
        }
        if kind.is_socket() {
            return Opened::Socket(self.named(index, inode, "socket"));
        }
        if kind.is_char_device() || kind.is_block_device() {
            return Opened::Device(
                nix::libc::major(meta.rdev()).into(),
                nix::libc::minor(meta.rdev()).into(),
            );
        }
        // All of these have one inode, so they are distinguished by the descriptor's number in its creator.
        let name = self.task(index).name.clone();
        Opened::Anonymous(format!("descriptor {fd} of {name}"))
    }

    /// The name of an object without a path, by the process in which it was first seen.
    pub(super) fn named(&mut self, index: usize, inode: (u64, u64), what: &str) -> String {
        if let Some(name) = self.objects.known(inode) {
            return name.to_owned();
        }
        let name = format!("{what} of {}", self.process(index).name);
        self.objects.name(inode, &name)
    }

    /// The path relative to the folder of the execution; `.` for the folder itself.
    pub(super) fn inside(&self, path: &Path) -> Option<String> {
        let Ok(rest) = path.strip_prefix(&self.root) else {
            // In a namespace, /dev/shm belongs to the program.
            // What leads to the folder of the execution is not the program's.
            let is_own =
                self.numbers.is_some() && path.starts_with(SHARED_MEMORY) && !self.root.starts_with(path);
            return is_own.then(|| path.to_string_lossy().into_owned());
        };
        let text = rest.to_string_lossy();
        Some(if text.is_empty() { ".".to_owned() } else { text.into_owned() })
    }

    /// Resolves `path` relative to the directory of the descriptor `at`, as the kernel would.
    pub(super) fn resolve(&self, index: usize, at: i32, path: &[u8], follow: bool) -> Resolved {
        use std::os::unix::ffi::OsStrExt;
        let tid = self.tid(index);
        let path = Path::new(std::ffi::OsStr::from_bytes(path));
        let mut here = if path.is_absolute() {
            // Most calls are for files of the system, where nothing needs to be followed.
            let is_own = self.numbers.is_some() && path.starts_with(SHARED_MEMORY);
            if !path.starts_with(&self.root) && !is_own && !path.starts_with("/proc/self/cwd") {
                let meta = std::fs::metadata(path).ok();
                return Resolved { way: Vec::new(), inside: None, path: path.to_owned(), meta };
            }
            PathBuf::from("/")
        } else if at == nix::libc::AT_FDCWD {
            folder_at(&format!("/proc/{tid}/cwd"))
        } else {
            folder_at(&format!("/proc/{tid}/fd/{at}"))
        };
        let mut todo: Vec<PathBuf> = parts(path);
        // The directory in which it begins may be renamed.
        let mut way: Vec<String> = match self.inside(&here) {
            Some(base) if !path.is_absolute() && base != "." => prefixes(&base),
            _ => Vec::new(),
        };
        let mut links = 0;
        while let Some(part) = todo.pop() {
            if part.as_os_str() == ".." {
                here.pop();
                continue;
            }
            let next = if part.as_os_str() == "/" { PathBuf::from("/") } else { here.join(&part) };
            let target = if todo.is_empty() && !follow { None } else { std::fs::read_link(&next).ok() };
            if let Some(target) = target.filter(|_| links < MAX_LINKS && next.as_os_str() != "/") {
                links += 1;
                way.extend(self.inside(&next));
                todo.extend(parts(&target));
                continue;
            }
            if !todo.is_empty() {
                way.extend(self.inside(&next).filter(|inside| inside != "."));
            }
            here = next;
        }
        let meta = std::fs::symlink_metadata(&here).ok();
        Resolved { way, inside: self.inside(&here), path: here, meta }
    }
}

/// The path of the folder to which a link of `/proc` leads: of a removed one, the path that it had.
pub(super) fn folder_at(link: &str) -> PathBuf {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    const REMOVED: &[u8] = b" (deleted)";
    let path = std::fs::read_link(link).unwrap_or_default();
    let Some(had) = path.as_os_str().as_bytes().strip_suffix(REMOVED) else { return path };
    // A name may end like this.
    let is_removed = std::fs::metadata(link).is_ok_and(|folder| folder.nlink() == 0);
    if is_removed { std::ffi::OsString::from_vec(had.to_vec()).into() } else { path }
}

/// The path and all its parents: `a`, `a/b`.
pub(super) fn prefixes(path: &str) -> Vec<String> {
    let ends = path.match_indices('/').map(|(at, _)| at).filter(|at| *at > 0).chain([path.len()]);
    ends.map(|end| path[..end].to_owned()).collect()
}

/// The components of a path, in reverse order.
fn parts(path: &Path) -> Vec<PathBuf> {
    let parts = path.components().filter(|part| *part != Component::CurDir);
    let mut parts: Vec<_> = parts.map(|part| PathBuf::from(part.as_os_str())).collect();
    parts.reverse();
    parts
}
