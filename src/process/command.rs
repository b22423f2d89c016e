//! A foreign program as a child that is held before its first instruction until its watchers are ready.

use crate::sys::pid::Pid;
use std::ffi::{CString, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use super::exit::{Exit, Signal};
use crate::sys::clock::monotonic_ns;
use crate::sys::exec::{AtGate, Streams, fork_at_gate};
use crate::sys::pidfd;
use crate::sys::procfs::{stat, status};
use crate::sys::signal;
use crate::sys::wait::{Whose, Zombie, is_no_child, try_wait};

/// A program could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// There is no such program.
    #[error("there is no program `{program}`, neither as a path nor in PATH")]
    NotFound {
        /// The program, as it was requested.
        program: String,
    },
    /// The program exists, but its interpreter does not.
    #[error("`{program}` cannot be executed: it needs {interpreter}, which does not exist")]
    NoInterpreter {
        /// The program, as it was requested.
        program: String,
        /// The interpreter in its first line, or the loader of a binary program.
        interpreter: String,
    },
    /// The program exists but cannot be executed.
    #[error("`{program}` may not be executed: it is not a program, or its permissions forbid it")]
    NotExecutable {
        /// The program, as it was requested.
        program: String,
    },
    /// An argument contains a NUL byte.
    #[error("argument {index} holds a NUL byte, which no program can be given")]
    Nul {
        /// Its number; 0 is the program.
        index: usize,
    },
    /// The system refused.
    #[error("`{program}` could not be started")]
    Os {
        /// The program, as it was requested.
        program: String,
        /// The error of the system.
        source: io::Error,
    },
}

impl CommandError {
    /// Why `program`, searched for in `PATH` as by `execvp(3)`, was not executed: according to the kernel's error and
    /// the file itself, because a missing interpreter also causes `ENOENT`.
    pub(crate) fn of(program: String, source: io::Error) -> Self {
        Self::in_folder(Path::new(""), program, source)
    }

    /// As [`of`](Self::of), for a program that is executed in `folder`.
    pub(crate) fn in_folder(folder: &Path, program: String, source: io::Error) -> Self {
        let file = locate(folder, &program);
        match (source.kind(), file) {
            (io::ErrorKind::NotFound, Some(file)) => {
                let interpreter = interpreter(&file).unwrap_or_else(|| "a dynamic loader".to_owned());
                CommandError::NoInterpreter { program, interpreter }
            }
            // `execvp` returns the second if a folder of PATH is inaccessible and the others have no such file.
            (io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied, None) => {
                CommandError::NotFound { program }
            }
            (io::ErrorKind::PermissionDenied, Some(_)) => CommandError::NotExecutable { program },
            _ => CommandError::Os { program, source },
        }
    }
}

/// The file that is executed for `program`: the first of its name in `PATH` that exists, or the path itself.
fn locate(folder: &Path, program: &str) -> Option<PathBuf> {
    if program.contains('/') {
        return Some(folder.join(program)).filter(|path| path.exists());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.exists())
}

/// The interpreter in the first line of a script (`execve(2)`).
fn interpreter(file: &Path) -> Option<String> {
    /// The length of the first line that the kernel reads.
    const LINE: u64 = 255;
    let mut line = Vec::new();
    File::open(file).ok()?.take(LINE).read_to_end(&mut line).ok()?;
    let line = line.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let line = String::from_utf8_lossy(line);
    // A file with line ends of another system asks for an interpreter whose name ends in a carriage return.
    let name = line.trim_matches([' ', '\t']).split([' ', '\t']).next()?;
    Some(format!("the interpreter `{}`", name.escape_debug()))
}

/// A child that is held: it has a PID and can be attached to, but has not executed the program yet.
#[derive(Debug)]
pub struct HeldCommand {
    program: String,
    at_gate: AtGate,
    pidfd: OwnedFd,
}

/// The program runs, or has run and waits to be reaped.
#[derive(Debug)]
pub struct RunningCommand {
    pid: Pid,
    pidfd: OwnedFd,
    released_ns: u64,
}

impl HeldCommand {
    /// Creates the child for `argv`, with these standard streams.
    ///
    /// # Errors
    /// [`CommandError::Nul`], or [`CommandError::Os`] when no process can be made.
    pub fn new(argv: &[OsString], streams: &Streams<'_>) -> Result<Self, CommandError> {
        let program = argv.first().map(|program| program.to_string_lossy().into_owned()).unwrap_or_default();
        let mut strings = Vec::with_capacity(argv.len());
        for (index, arg) in argv.iter().enumerate() {
            strings.push(CString::new(arg.clone().into_vec()).map_err(|_| CommandError::Nul { index })?);
        }
        let os = |source| CommandError::Os { program: program.clone(), source };
        let at_gate = fork_at_gate(&strings, streams).map_err(os)?;
        // It is an unreaped child of this process, so its PID has not been reused.
        let pidfd = pidfd::open(at_gate.pid()).map_err(os)?;
        Ok(Self { program, at_gate, pidfd })
    }

    /// The child's PID, which the program will keep.
    pub fn pid(&self) -> Pid {
        self.at_gate.pid()
    }

    /// Releases the child: it becomes the program.
    ///
    /// # Errors
    /// [`CommandError::NotFound`], [`CommandError::NotExecutable`] and the like; the child is then reaped.
    pub fn release(self) -> Result<RunningCommand, CommandError> {
        let HeldCommand { program, at_gate, pidfd } = self;
        let pid = at_gate.pid();
        // Right before the child is woken.
        let released_ns = monotonic_ns();
        match at_gate.open() {
            Ok(()) => Ok(RunningCommand { pid, pidfd, released_ns }),
            Err(source) => {
                let _ = crate::sys::poll::readable(&[pidfd.as_fd()], crate::sys::poll::Deadline::NEVER);
                let _ = try_wait(Whose::Pidfd(pidfd.as_fd()), Zombie::Reap);
                Err(CommandError::of(program, source))
            }
        }
    }
}

impl RunningCommand {
    /// When the child was released, in nanoseconds of `CLOCK_MONOTONIC`.
    pub fn released_ns(&self) -> u64 {
        self.released_ns
    }

    /// Its PID.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// How it ended, once it has; it stays a zombie, so that `/proc` still describes it.
    ///
    /// # Errors
    /// `ECHILD` when other code in this process has reaped it.
    pub fn ended(&self) -> io::Result<Option<Exit>> {
        match try_wait(Whose::Pidfd(self.pidfd.as_fd()), Zombie::Leave) {
            // If a sandbox refuses the wait, /proc shows how a zombie ended.
            Err(error) if !is_no_child(&error) && self.has_ended() => {
                stat::status_of_zombie(self.pid).map_or(Err(error), |how| Ok(Some(how.into())))
            }
            ended => Ok(ended?.map(|ended| ended.how.into())),
        }
    }

    /// Whether it has ended, according to its pidfd alone, so this works even if it cannot be waited for.
    pub fn has_ended(&self) -> bool {
        let now = crate::sys::poll::Deadline::now();
        crate::sys::poll::readable(&[self.pidfd.as_fd()], now).is_ok_and(|ready| ready == [true])
    }

    /// Reaps the zombie.
    ///
    /// # Errors
    /// `ECHILD` when other code in this process has reaped it.
    pub fn reap(&self) -> io::Result<Option<Exit>> {
        Ok(try_wait(Whose::Pidfd(self.pidfd.as_fd()), Zombie::Reap)?.map(|ended| ended.how.into()))
    }

    /// Sends it a signal. It is not an error if it has already ended.
    ///
    /// A command that ignores or blocks SIGTERM, because this program did when it was started, is killed instead.
    pub fn signal(&self, signal: i32) {
        let is_deaf = signal == Signal::TERM.0
            && signal::inherited().holds_back(signal)
            && status::is_held_back(self.pid, signal);
        // It is reaped only through this value, and not before it has ended.
        if !self.has_ended() {
            let signal = if is_deaf { Signal::KILL.0 } else { signal };
            let _ = pidfd::send_signal_to_unreaped(self.pidfd.as_fd(), self.pid, signal);
        }
    }
}

impl AsFd for RunningCommand {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_missing_interpreter_is_told_from_a_missing_program() {
        let folder = std::env::temp_dir().join(format!("proclab-command-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        let (script, loader) = (folder.join("script"), folder.join("binary"));
        fs::write(&script, "#! /no/such/shell\r\necho\n").unwrap();
        fs::write(&loader, "\x7fELF").unwrap();
        let said = |path: &Path| {
            let source = io::Error::from(io::ErrorKind::NotFound);
            CommandError::of(path.to_string_lossy().into_owned(), source).to_string()
        };
        let all = [&script, &loader, &folder.join("nothing")].map(|path| said(path));
        fs::remove_dir_all(&folder).unwrap();
        assert!(all[0].contains(r"the interpreter `/no/such/shell\r`, which does not exist"));
        assert!(all[1].contains("needs a dynamic loader"));
        assert!(all[2].contains("there is no program"));
    }
}
