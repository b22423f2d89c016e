//! The settings of a child, as they are chosen in the parent: environment, directory, streams, limits, process group
//! and session. They are sent and applied as [`Applied`].

use super::applied::{Applied, Group};
use super::stdio::{Pipes, Stdio, Stream};
use crate::sys::limit::Resource;
use crate::sys::pid::Pid;
use crate::wire::handle::Fd;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The highest number under which a descriptor can be passed.
const HIGHEST_NUMBER: RawFd = 255;

/// The settings of a process to be started.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    clear_environment: bool,
    /// By name: the value, or `None` to remove it.
    environment: BTreeMap<OsString, Option<OsString>>,
    directory: Option<PathBuf>,
    stdin: Option<Stdio>,
    stdout: Option<Stdio>,
    stderr: Option<Stdio>,
    descriptors: BTreeMap<RawFd, Arc<OwnedFd>>,
    limits: Vec<(Resource, u64, u64)>,
    nice: i32,
    cpus: Vec<usize>,
    group: Group,
    /// The socket on which its body reports its state.
    notify: Option<Arc<OwnedFd>>,
}

/// The builder methods of every type that has settings.
macro_rules! setting_methods {
    () => {
        /// Sets an environment variable, replacing the parent's variable of that name.
        ///
        /// Under `Spawn` the child is executed with it, as by [`std::process::Command`]; otherwise it is set before any
        /// code of the program runs.
        ///
        /// ```
        /// let process = proclab::Process::new(|| std::env::var("MODE").unwrap_or_default()).env("MODE", "batch");
        /// # drop(process);
        /// ```
        pub fn env(mut self, name: impl AsRef<std::ffi::OsStr>, value: impl AsRef<std::ffi::OsStr>) -> Self {
            self.settings.set_variable(name.as_ref(), Some(value.as_ref()));
            self
        }

        /// Sets environment variables.
        ///
        /// ```
        /// let process = proclab::Process::new(|| ()).envs([("MODE", "batch"), ("LEVEL", "3")]);
        /// # drop(process);
        /// ```
        pub fn envs<N: AsRef<std::ffi::OsStr>, V: AsRef<std::ffi::OsStr>>(
            mut self,
            variables: impl IntoIterator<Item = (N, V)>,
        ) -> Self {
            for (name, value) in variables {
                self.settings.set_variable(name.as_ref(), Some(value.as_ref()));
            }
            self
        }

        /// Removes an environment variable.
        ///
        /// ```
        /// let process = proclab::Process::new(|| ()).env_remove("LD_PRELOAD");
        /// # drop(process);
        /// ```
        pub fn env_remove(mut self, name: impl AsRef<std::ffi::OsStr>) -> Self {
            self.settings.set_variable(name.as_ref(), None);
            self
        }

        /// Removes every variable from its environment; those that are set afterwards remain.
        ///
        /// ```
        /// let process = proclab::Process::new(|| ()).env_clear().env("PATH", "/usr/bin");
        /// # drop(process);
        /// ```
        pub fn env_clear(mut self) -> Self {
            self.settings.clear_variables();
            self
        }

        /// Sets its working directory; by default the parent's at the start. A relative path is relative to the parent's.
        ///
        /// ```
        /// let process = proclab::Process::new(|| ()).current_dir("/");
        /// # drop(process);
        /// ```
        pub fn current_dir(mut self, directory: impl AsRef<std::path::Path>) -> Self {
            self.settings.set_directory(directory.as_ref());
            self
        }

        /// Sets its standard input; [`Stdio::null`](crate::Stdio::null) by default.
        ///
        /// ```
        /// use proclab::{Process, Stdio};
        ///
        /// let process = Process::new(|| std::io::stdin().lines().count()).stdin(Stdio::piped());
        /// # drop(process);
        /// ```
        pub fn stdin(mut self, stdin: impl Into<crate::Stdio>) -> Self {
            self.settings.set_stream(crate::process::Stream::Stdin, stdin.into());
            self
        }

        /// Sets its standard output; the parent's by default.
        ///
        /// ```
        /// use proclab::{Process, Stdio};
        ///
        /// let process = Process::new(|| println!("unseen")).stdout(Stdio::null());
        /// # drop(process);
        /// ```
        pub fn stdout(mut self, stdout: impl Into<crate::Stdio>) -> Self {
            self.settings.set_stream(crate::process::Stream::Stdout, stdout.into());
            self
        }

        /// Sets its standard error; the parent's by default.
        ///
        /// ```
        /// use proclab::{Process, Stdio};
        ///
        /// let process = Process::new(|| eprintln!("unseen")).stderr(Stdio::null());
        /// # drop(process);
        /// ```
        pub fn stderr(mut self, stderr: impl Into<crate::Stdio>) -> Self {
            self.settings.set_stream(crate::process::Stream::Stderr, stderr.into());
            self
        }

        /// Opens descriptor `number` (3 to 255) in it as a duplicate of `fd`, which programs that it executes inherit:
        /// for protocols that fix the number. Pass a descriptor that only the body needs as an argument
        /// ([`Fd`](crate::Fd)) instead. The start fails if the number is in use in the child.
        ///
        /// ```
        /// let (reader, _writer) = std::io::pipe()?;
        /// let process = proclab::Process::new(|| ()).fd(3, reader);
        /// # drop(process);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        pub fn fd(mut self, number: std::os::fd::RawFd, fd: impl Into<std::os::fd::OwnedFd>) -> Self {
            self.settings.set_descriptor(number, fd.into());
            self
        }

        /// Limits a resource (`setrlimit(2)`): the kernel enforces the soft limit, which the child can raise up to the hard
        /// one. The limits take effect immediately before the body runs.
        ///
        /// ```
        /// use proclab::{Process, Resource};
        ///
        /// let process = Process::new(|| ()).rlimit(Resource::Nofile, 64, 64);
        /// # drop(process);
        /// ```
        pub fn rlimit(mut self, resource: crate::Resource, soft: u64, hard: u64) -> Self {
            self.settings.set_limit(resource, soft, hard);
            self
        }

        /// Adds to its nice value (`nice(2)`): 19 is the least favourable; values below 0 require a privilege.
        ///
        /// ```
        /// let process = proclab::Process::new(|| ()).nice(10);
        /// # drop(process);
        /// ```
        pub fn nice(mut self, increment: i32) -> Self {
            self.settings.set_nice(increment);
            self
        }

        /// Sets the processors on which it may run (`sched_setaffinity(2)`); by default the parent's.
        ///
        /// ```
        /// let process = proclab::Process::new(|| ()).cpu_affinity([0]);
        /// # drop(process);
        /// ```
        pub fn cpu_affinity(mut self, cpus: impl IntoIterator<Item = usize>) -> Self {
            self.settings.set_cpus(cpus.into_iter().collect());
            self
        }

        /// Sets its process group: 0, the default, for a new one; otherwise the number of a group in the parent's
        /// session. In the parent's own group it receives Ctrl-C as the parent does.
        ///
        /// ```
        /// let process = proclab::Process::new(|| ()).process_group(0);
        /// # drop(process);
        /// ```
        pub fn process_group(mut self, pgroup: i32) -> Self {
            self.settings.set_group(pgroup);
            self
        }

        /// Sets whether it leads a session of its own, without a terminal (`setsid(2)`).
        ///
        /// ```
        /// let process = proclab::Process::new(|| ()).setsid(true);
        /// # drop(process);
        /// ```
        pub fn setsid(mut self, setsid: bool) -> Self {
            self.settings.set_session(setsid);
            self
        }
    };
}
pub(crate) use setting_methods;

impl Settings {
    pub(crate) fn set_variable(&mut self, name: &OsStr, value: Option<&OsStr>) {
        self.environment.insert(name.to_owned(), value.map(OsStr::to_owned));
    }

    pub(crate) fn clear_variables(&mut self) {
        self.clear_environment = true;
        self.environment.clear();
    }

    pub(crate) fn set_directory(&mut self, directory: &Path) {
        self.directory = Some(directory.to_owned());
    }

    pub(crate) fn set_stream(&mut self, stream: Stream, to: Stdio) {
        match stream {
            Stream::Stdin => self.stdin = Some(to),
            Stream::Stdout => self.stdout = Some(to),
            Stream::Stderr => self.stderr = Some(to),
        }
    }

    pub(crate) fn set_descriptor(&mut self, number: RawFd, fd: OwnedFd) {
        self.descriptors.insert(number, Arc::new(fd));
    }

    pub(crate) fn set_limit(&mut self, resource: Resource, soft: u64, hard: u64) {
        self.limits.push((resource, soft, hard));
    }

    pub(crate) fn set_nice(&mut self, increment: i32) {
        self.nice = increment;
    }

    pub(crate) fn set_cpus(&mut self, cpus: Vec<usize>) {
        self.cpus = cpus;
    }

    pub(crate) fn set_group(&mut self, pgroup: i32) {
        self.group = if pgroup == 0 { Group::Own } else { Group::Other(Pid::from_raw(pgroup)) };
    }

    pub(crate) fn set_session(&mut self, setsid: bool) {
        self.group = if setsid { Group::Session } else { Group::Own };
    }

    pub(crate) fn set_notify(&mut self, socket: Option<OwnedFd>) {
        self.notify = socket.map(Arc::new);
    }

    /// Whether the child is to lead a session.
    pub(crate) fn leads_session(&self) -> bool {
        self.group == Group::Session
    }

    /// The environment that the child is executed with.
    pub(crate) fn environment(&self) -> Vec<(OsString, OsString)> {
        let is_kept = |name: &OsString| !self.clear_environment && !self.environment.contains_key(name);
        let own = self.environment.iter().filter_map(|(name, value)| Some((name.clone(), value.clone()?)));
        std::env::vars_os().filter(|(name, _)| is_kept(name)).chain(own).collect()
    }

    /// Opens what the child needs: the settings as they travel, and the parent's ends of pipes.
    ///
    /// # Errors
    /// The setting that was refused, and the error.
    pub(crate) fn prepare(&self) -> Result<(Applied, Pipes), (String, io::Error)> {
        let invalid = |why: &str| io::Error::new(io::ErrorKind::InvalidInput, why.to_owned());
        for (name, value) in &self.environment {
            let has_nul = |text: &OsStr| text.as_bytes().contains(&0);
            if name.is_empty() || name.as_bytes().contains(&b'=') || has_nul(name) {
                let why = invalid("the name of a variable is not empty and holds neither `=` nor a NUL byte");
                return Err((format!("env({name:?})"), why));
            }
            if value.as_deref().is_some_and(has_nul) {
                return Err((format!("env({name:?})"), invalid("the value of a variable holds no NUL byte")));
            }
        }
        if self.directory.as_ref().is_some_and(|path| path.as_os_str().as_bytes().contains(&0)) {
            return Err(("current_dir".to_owned(), invalid("a path holds no NUL byte")));
        }
        let mut descriptors = Vec::new();
        for (number, fd) in &self.descriptors {
            let setting = || format!("fd({number})");
            if !(3..=HIGHEST_NUMBER).contains(number) {
                return Err((setting(), invalid("a descriptor is passed under a number from 3 to 255")));
            }
            descriptors.push((*number, fd.try_clone().map_err(|error| (setting(), error))?.into()));
        }
        let (mut streams, mut ends) = ([const { None }; 3], [const { None }; 3]);
        let all = [
            (&self.stdin, Stream::Stdin, "stdin"),
            (&self.stdout, Stream::Stdout, "stdout"),
            (&self.stderr, Stream::Stderr, "stderr"),
        ];
        for (at, (stdio, stream, name)) in all.into_iter().enumerate() {
            if let Some(stdio) = stdio {
                let (theirs, ours) = stdio.open(stream).map_err(|error| (name.to_owned(), error))?;
                (streams[at], ends[at]) = (theirs.map(Fd::from), ours);
            }
        }
        let notify = self.notify.as_ref().map(|socket| socket.try_clone().map(Fd::from)).transpose();
        let notify = notify.map_err(|error| ("the socket of its tree".to_owned(), error))?;
        let bytes = |text: &OsString| text.clone().into_vec();
        let applied = Applied {
            clear_environment: self.clear_environment,
            environment: self
                .environment
                .iter()
                .map(|(name, value)| (bytes(name), value.as_ref().map(bytes)))
                .collect(),
            directory: self.directory.as_ref().map(|path| path.as_os_str().as_bytes().to_vec()),
            streams,
            descriptors,
            limits: self.limits.clone(),
            nice: self.nice,
            cpus: self.cpus.clone(),
            group: self.group,
            notify,
        };
        Ok((applied, Pipes::new(ends)))
    }
}
