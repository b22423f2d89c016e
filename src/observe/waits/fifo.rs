//! A FIFO whose other end is not open: `open(2)` waits until a process opens it.

use crate::sys::pid::Pid;
use std::os::unix::fs::FileTypeExt;
use std::path::PathBuf;

use nix::libc;

use super::descriptor::short;
use super::{Ends, Kind, Scene, Wait};
use crate::sys::procfs::memory::read_string;
use crate::sys::procfs::syscall::InCall;

/// A FIFO that a process is about to open.
pub(super) struct Opened {
    pub(super) path: PathBuf,
    writes: bool,
}

/// The FIFO that the call opens, if it opens one.
pub(super) fn opened(pid: Pid, call: InCall) -> Option<Opened> {
    let [first, second, third, ..] = call.args;
    let (folder, name, flags) = match call.number {
        libc::SYS_openat => ((first as u32).cast_signed(), second, third),
        #[cfg(target_arch = "x86_64")]
        libc::SYS_open => (libc::AT_FDCWD, first, second),
        _ => return None,
    };
    let name = read_string(pid, name)?;
    let folder = if folder == libc::AT_FDCWD {
        format!("/proc/{pid}/cwd")
    } else {
        format!("/proc/{pid}/fd/{folder}")
    };
    // `join` replaces the folder by an absolute path.
    let path = std::fs::canonicalize(PathBuf::from(folder).join(name)).ok()?;
    let is_fifo = std::fs::metadata(&path).ok()?.file_type().is_fifo();
    let writes = flags & libc::O_ACCMODE as u64 == libc::O_WRONLY as u64;
    is_fifo.then_some(Opened { path, writes })
}

/// The wait of `pid` in this call. Any process may open the FIFO, except those that wait for another FIFO to be opened:
/// two processes that wait for each other's FIFOs are stuck unless an unwatched process opens one.
pub(super) fn wait(pid: Pid, call: InCall, scene: &Scene) -> Option<Wait> {
    let Opened { path, writes } = opened(pid, call)?;
    let whom = if writes { "a reader" } else { "a writer" };
    let on = format!("fifo {} to be opened by {whom}", short(&path));
    let crossed = scene.fifo_openers().iter().filter(|(other, of)| *other != pid && *of != path);
    let crossed: Vec<Pid> = crossed.map(|(other, _)| *other).collect();
    let ends = if crossed.is_empty() { Ends::Outside } else { Ends::Only(crossed) };
    Some(Wait { on, kind: Kind::Pipe, ends })
}
