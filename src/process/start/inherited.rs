//! What a child inherits from its parent through fork and exec (`execve(2)`), as far as it may change while the
//! parent runs.

use crate::sys::pid::Pid;
use crate::sys::procfs::status::OwnFiles;
use crate::sys::{descriptor, resource, task};
use std::ffi::OsString;
use std::io;
use std::os::unix::fs::MetadataExt;

/// A snapshot of it, to be compared with a later one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Inherited {
    working_directory: (u64, u64),
    root: (u64, u64),
    environment: Vec<(OsString, OsString)>,
    /// Users, groups, capabilities, file mode mask, ignored signals, seccomp, processors.
    credentials: String,
    limits: Vec<(u64, u64)>,
    scheduling: (i32, i32, i32),
    session: Pid,
    namespaces: Vec<Option<OsString>>,
    cgroup_and_oom_score: [Option<String>; 2],
}

impl Inherited {
    /// Takes a snapshot of this process.
    ///
    /// # Errors
    /// When the working directory is inaccessible.
    pub(super) fn now(files: &OwnFiles) -> io::Result<Inherited> {
        let id = |path| std::fs::metadata(path).map(|meta| (meta.dev(), meta.ino()));
        Ok(Inherited {
            working_directory: id(".")?,
            root: id("/")?,
            environment: std::env::vars_os().collect(),
            credentials: files.inherited()?,
            limits: resource::limits(),
            scheduling: task::scheduling(),
            session: task::session(),
            namespaces: files.namespaces_of_children(),
            cgroup_and_oom_score: files.cgroup_and_oom_score(),
        })
    }

    /// Whether children of a server that was started at the time of this snapshot, with PID `server`, inherit the
    /// state `now`.
    pub(super) fn is_same(&self, now: &Inherited, server: Pid) -> bool {
        self == now && [1, 2].into_iter().all(|fd| descriptor::is_same_file(fd, server, fd))
    }
}
