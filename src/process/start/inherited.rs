//! What a child inherits from its parent through fork and exec (`execve(2)`), as far as it may change while the
//! parent runs.

use crate::sys::pid::Pid;
use crate::sys::procfs::{self, status};
use crate::sys::{descriptor, resource, task};
use std::ffi::OsString;
use std::io;
use std::os::unix::fs::MetadataExt;

/// A picture of it, to be compared with a later one.
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
    cgroup: Option<String>,
    oom_adjustment: Option<String>,
}

impl Inherited {
    /// As it is now, in this process.
    ///
    /// # Errors
    /// When `/proc` is not mounted, or the working directory may not be looked at.
    pub(super) fn now() -> io::Result<Inherited> {
        let id = |path| std::fs::metadata(path).map(|meta| (meta.dev(), meta.ino()));
        Ok(Inherited {
            working_directory: id(".")?,
            root: id("/")?,
            environment: std::env::vars_os().collect(),
            credentials: status::inherited()?,
            limits: resource::limits(),
            scheduling: task::scheduling(),
            session: task::session(),
            namespaces: status::namespaces_of_children(),
            cgroup: procfs::read_short("/proc/self/cgroup").ok(),
            oom_adjustment: procfs::read_short("/proc/self/oom_score_adj").ok(),
        })
    }

    /// Whether a server that was started at this point, with PID `server`, would pass on what is there `now`.
    pub(super) fn is_same(&self, now: &Inherited, server: Pid) -> bool {
        self == now && [1, 2].into_iter().all(|fd| descriptor::is_same_file(fd, server, fd))
    }
}
