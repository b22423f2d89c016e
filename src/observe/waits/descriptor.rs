//! Waits for a descriptor: a pipe, a socket, a terminal, a file.

use crate::sys::pid::Pid;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use super::{Ends, Kind, Scene, Wait, signal, words};
use crate::sys::procfs::descriptors::{Target, pid_of_pidfd, target};
use crate::sys::procfs::tree::threads;

/// The note on a pipe whose both ends only the waiting process has.
pub(super) const NO_OTHER: &str = ": no other process holds an end";

/// The wait of `pid` for `fd`, to write to it or to read from it.
pub(super) fn wait(pid: Pid, fd: u64, writes: bool, scene: &Scene) -> Option<Wait> {
    Some(match target(pid, fd)? {
        Target::Pipe(inode) => pipe(pid, inode, None, writes, scene),
        Target::Socket(inode) => socket(pid, inode, scene),
        Target::Anonymous(kind) if kind == "timerfd" => Wait::outside(Kind::Timer, "timer (timerfd)"),
        Target::Anonymous(kind) if kind == "signalfd" => signal::from_descriptor(pid, fd, scene),
        Target::Anonymous(kind) if kind == "pidfd" => pidfd(pid, fd, scene),
        Target::Anonymous(kind) => Wait::outside(Kind::Other, kind),
        Target::Path(path) if path.starts_with("/dev/pts") || path.starts_with("/dev/tty") => {
            let on = if writes { "terminal" } else { "terminal input" };
            Wait::outside(Kind::Terminal, format!("{on} {}", path.display()))
        }
        Target::Path(path) => match std::fs::metadata(format!("/proc/{pid}/fd/{fd}")) {
            Ok(meta) if meta.file_type().is_fifo() => pipe(pid, meta.ino(), Some(&path), writes, scene),
            _ => Wait::outside(Kind::Device, format!("file {}", short(&path))),
        },
    })
}

fn pidfd(pid: Pid, fd: u64, scene: &Scene) -> Wait {
    let Some(of) = pid_of_pidfd(pid, fd) else { return Wait::outside(Kind::Child, "process") };
    let ends = if scene.is_actor(of) { Ends::Only(vec![of]) } else { Ends::Outside };
    Wait { on: format!("end of {}", words::process(of)), kind: Kind::Child, ends }
}

fn pipe(pid: Pid, inode: u64, path: Option<&Path>, writes: bool, scene: &Scene) -> Wait {
    let what = path.map_or_else(|| "pipe".to_owned(), |path| format!("fifo {}", short(path)));
    let direction = if writes { "to" } else { "from" };
    let Some(mut others) = scene.pipe_ends(inode, !writes) else {
        return Wait::outside(Kind::Pipe, format!("{what} {direction} outside"));
    };
    let full = if writes { " (full)" } else { "" };
    // An end that a process with one thread has kept itself keeps the pipe open, and is of no use to it while it waits.
    let own_end = others.len() > 1 && others.contains(&pid) && threads(pid).len() == 1;
    if own_end {
        others.retain(|other| *other != pid);
    }
    if path.is_some() || others.is_empty() {
        // Any process may open a FIFO, and a pipe whose other end no process holds is about to end.
        others.retain(|other| *other != pid);
        let on =
            if others.is_empty() { what } else { format!("{what} {direction} {}", scene.labels(&others)) };
        return Wait::outside(Kind::Pipe, on);
    }
    let on = if others == [pid] {
        format!("its own {what}{full}{NO_OTHER}")
    } else {
        let itself = match (own_end, writes) {
            (false, _) => "",
            (true, false) => " (and its own write end)",
            (true, true) => " (and its own read end)",
        };
        format!("{what} {direction} {}{itself}{full}", scene.labels(&others))
    };
    Wait { on, kind: Kind::Pipe, ends: Ends::Only(others) }
}

fn socket(pid: Pid, inode: u64, scene: &Scene) -> Wait {
    let Some(socket) = scene.sockets().find(pid, inode) else { return Wait::outside(Kind::Socket, "socket") };
    if socket.listens {
        return Wait::outside(Kind::Socket, format!("socket {} (connections)", socket.local));
    }
    let peer_inode = scene.sockets().peer_inode(pid, inode).or_else(|| scene.unix_peer(inode));
    let (mut holders, strangers) = peer_inode.map_or((Vec::new(), true), |inode| scene.socket_holders(inode));
    let name = match (&socket.peer, socket.local.as_str()) {
        (Some(peer), _) => format!("socket {peer}"),
        (None, "(unnamed)") if !holders.is_empty() => "socket".to_owned(),
        (None, local) => format!("socket {local} ({})", socket.protocol),
    };
    if holders.is_empty() {
        return Wait::outside(Kind::Socket, name);
    }
    if holders.len() > 1 {
        holders.retain(|holder| *holder != pid);
    }
    let to = if socket.protocol == "unix" { "to" } else { "of" };
    let on = format!("{name} {to} {}", scene.labels(&holders));
    // Over the network, or by its name, an unwatched process may hold the peer too.
    let closed = socket.protocol == "unix" && socket.local == "(unnamed)" && !strangers;
    let ends = if closed { Ends::Only(holders) } else { Ends::Outside };
    Wait { on, kind: Kind::Socket, ends }
}

/// A path relative to the current directory, if it lies there.
pub(super) fn short(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&here).unwrap_or(path).display().to_string()
}
