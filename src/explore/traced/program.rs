//! The program as it is started: its path, environment and streams, without what the kernel randomizes (the random bytes on
//! its stack, the clock in its memory).

use crate::sys::pid::Pid;
use std::ffi::{CString, OsString};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::libc;

use super::calls::noise;
use super::limits::Command;
use super::machine::TracedError;
use crate::sys::ptrace::arch::Registers;
use crate::sys::ptrace::memory;
use crate::sys::ptrace::start::StartTracedError;

/// The arguments of `execve`.
#[derive(Debug)]
pub(super) struct Image {
    pub(super) path: CString,
    pub(super) arguments: Vec<CString>,
    pub(super) environment: Vec<CString>,
}

/// Variables that differ between terminals and would affect outcomes.
const DROPPED: [&str; 8] = ["OLDPWD", "COLUMNS", "LINES", "SHLVL", "_", "MAKEFLAGS", "MFLAGS", "MAKELEVEL"];

impl Image {
    pub(super) fn new(command: &Command, root: &Path) -> Result<Self, TracedError> {
        let program = command.argv.first().cloned().unwrap_or_default();
        let from = command.directory.clone().unwrap_or_default();
        let prepare = |kind: io::ErrorKind| {
            TracedError::of(&from, &program, StartTracedError::Prepare("execve", io::Error::from(kind)))
        };
        let path = find(&program, &from, root).ok_or_else(|| prepare(io::ErrorKind::NotFound))?;
        let c_string = |bytes: Vec<u8>| CString::new(bytes).map_err(|_| prepare(io::ErrorKind::InvalidInput));
        let mut variables: Vec<(OsString, OsString)> = std::env::vars_os()
            .filter(|(name, _)| !DROPPED.iter().any(|dropped| *name == **dropped))
            .filter(|(name, _)| !["HOME", "TMPDIR", "PWD"].iter().any(|own| *name == **own))
            .collect();
        for name in ["HOME", "TMPDIR", "PWD"] {
            variables.push((name.into(), root.into()));
        }
        variables.sort();
        let environment = variables.into_iter().map(|(name, value)| {
            let mut entry = name.into_vec();
            entry.push(b'=');
            entry.extend(value.into_vec());
            c_string(entry)
        });
        Ok(Self {
            path: c_string(path.into_os_string().into_vec())?,
            arguments: command
                .argv
                .iter()
                .map(|argument| c_string(argument.clone().into_bytes()))
                .collect::<Result<_, _>>()?,
            environment: environment.collect::<Result<_, _>>()?,
        })
    }
}

/// Finds the executable. A path is relative to the folder, and refers to its copy.
fn find(program: &str, from: &Path, root: &Path) -> Option<PathBuf> {
    let is_executable = |path: &Path| {
        path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    if program.contains('/') {
        let path = Path::new(program);
        if path.is_absolute() {
            return is_executable(path).then(|| path.to_owned());
        }
        // The engine's own mount hides a folder in /dev/shm, so the copy is executed and reports any error.
        let is_there = is_executable(&from.join(path)) || !from.exists();
        return is_there.then(|| root.join(path));
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| is_executable(path))
}

/// An empty standard input, and the write ends of two pipes as standard output and error. The tracer intercepts what is
/// written to them.
pub(super) fn streams() -> io::Result<(OwnedFd, [OwnedFd; 2])> {
    let null = std::fs::File::open("/dev/null")?.into();
    let end = || -> io::Result<OwnedFd> {
        let (reader, writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
        // The reader stays open, because the program would get a broken pipe otherwise.
        std::mem::forget(reader);
        Ok(writer)
    };
    Ok((null, [end()?, end()?]))
}

/// Device and inode of each stream.
pub(super) fn inodes(streams: &[OwnedFd; 2]) -> io::Result<[(u64, u64); 2]> {
    let inode = |stream: &OwnedFd| {
        let meta = std::fs::metadata(format!("/proc/self/fd/{}", stream.as_raw_fd()))?;
        Ok::<_, io::Error>((meta.dev(), meta.ino()))
    };
    Ok([inode(&streams[0])?, inode(&streams[1])?])
}

/// In a task that has just executed a program, derives the random bytes on its stack from `name`, and hides the clock in its
/// memory, so that it asks the kernel for the time. Returns where the dynamic loader is, 0 if there is none.
pub(super) fn hide_chance(tid: Pid, name: &str) -> io::Result<u64> {
    const WORD: u64 = 8;
    const MOST: usize = 1 << 20;
    /// Pieces that end where a page ends, because the next may not be mapped.
    const PIECE: u64 = 2048;
    let (mut begin, mut piece) = (0, Vec::new());
    let mut word = |address: u64| {
        if address < begin || address + WORD > begin + piece.len() as u64 {
            begin = address;
            piece = memory::read(tid, address, (PIECE - address % PIECE) as usize)?;
        }
        let bytes = piece.get((address - begin) as usize..).and_then(<[u8]>::first_chunk);
        bytes
            .map(|bytes| u64::from_ne_bytes(*bytes))
            .ok_or_else(|| io::Error::from(nix::errno::Errno::EFAULT))
    };
    let mut at = Registers::of(tid)?.stack();
    // The stack begins with argc, argv, NULL, envp, NULL, and pairs of words up to AT_NULL.
    at += WORD * (word(at)? + 2);
    for _ in 0..MOST {
        let is_end = word(at)? == 0;
        at += WORD;
        if is_end {
            break;
        }
    }
    let mut loader = 0;
    for _ in 0..64 {
        match word(at)? {
            libc::AT_NULL => break,
            libc::AT_BASE => loader = word(at + WORD)?,
            libc::AT_SYSINFO_EHDR => memory::write(tid, at, &libc::AT_IGNORE.to_ne_bytes())?,
            libc::AT_RANDOM => {
                let bytes: Vec<u8> = (0..16).map(|place| noise(name, (1 << 40) + place)).collect();
                memory::write(tid, word(at + WORD)?, &bytes)?;
            }
            _ => {}
        }
        at += 2 * WORD;
    }
    Ok(loader)
}
