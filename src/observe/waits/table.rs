//! Every open descriptor of every watched process at one time, with the processes that hold the other end.

use std::os::unix::fs::{FileTypeExt, MetadataExt};

use super::Scene;
use super::descriptor::short;
use super::words;
use crate::sys::pid::Pid;
use crate::sys::procfs::descriptors::{self, Open, Target, pid_of_pidfd, watched_by_epoll};

/// An open descriptor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// The process.
    pub pid: Pid,
    /// The process's name.
    pub name: String,
    /// Its number.
    pub fd: u32,
    /// It can be read from.
    pub reads: bool,
    /// It can be written to.
    pub writes: bool,
    /// What it refers to, in words.
    pub what: String,
    /// The processes that hold the other end of a pipe or socket, itself included; `None` if there is no other end.
    pub others: Option<Vec<Pid>>,
    /// The same in words.
    pub other_end: String,
}

/// The open descriptors of all processes of a scene.
pub fn describe(scene: &Scene) -> Vec<Described> {
    let of_actor = |actor: &super::Actor| {
        let mut all = descriptors::all(actor.pid);
        all.sort_by_key(|open| open.fd);
        all.into_iter().map(|open| one(actor.pid, &actor.name, open, scene)).collect::<Vec<_>>()
    };
    scene.actors().iter().flat_map(of_actor).collect()
}

fn one(pid: Pid, name: &str, open: Open, scene: &Scene) -> Described {
    let Open { fd, target, reads, writes } = open;
    let (what, others, other_end) = match target {
        Target::Pipe(inode) => pipe(inode, format!("pipe {inode}"), (reads, writes), scene),
        Target::Socket(inode) => socket(pid, inode, scene),
        Target::Anonymous(kind) => (anonymous(pid, fd, &kind), None, String::new()),
        Target::Path(path) => match std::fs::metadata(format!("/proc/{pid}/fd/{fd}")) {
            Ok(meta) if meta.file_type().is_fifo() => {
                pipe(meta.ino(), format!("fifo {}", short(&path)), (reads, writes), scene)
            }
            _ => (short(&path), None, String::new()),
        },
    };
    let (what, other_end) = (scene.shown(&what), scene.shown(&other_end));
    Described { pid, name: name.to_owned(), fd, reads, writes, what, others, other_end }
}

type Ends = (String, Option<Vec<Pid>>, String);

fn pipe(inode: u64, what: String, (reads, writes): (bool, bool), scene: &Scene) -> Ends {
    if reads && writes {
        return (format!("{what} (both ends)"), None, String::new());
    }
    let side = if reads { "written" } else { "read" };
    match scene.pipe_ends(inode, reads) {
        Some(others) if others.is_empty() => (what, Some(others), format!("{side} by no watched process")),
        Some(others) => {
            let words = format!("{side} by {}", scene.labels(&others));
            (what, Some(others), words)
        }
        None => (what, None, format!("{side} by processes that are not watched, or by others too")),
    }
}

fn socket(pid: Pid, inode: u64, scene: &Scene) -> Ends {
    let Some(socket) = scene.sockets().find(pid, inode) else {
        return (format!("socket {inode}"), None, String::new());
    };
    let what = format!("socket {} ({})", socket.local, socket.protocol);
    if socket.listens {
        return (format!("socket {} ({}, listens)", socket.local, socket.protocol), None, String::new());
    }
    let peer = scene.sockets().peer_inode(pid, inode).or_else(|| scene.unix_peer(inode));
    let holders = peer.map(|inode| scene.socket_holders(inode).0).unwrap_or_default();
    let address = socket.peer.unwrap_or_default();
    let words = match &holders[..] {
        [] => address,
        pids => format!("{address} held by {}", scene.labels(pids)).trim_start().to_owned(),
    };
    (what, Some(holders), words)
}

fn anonymous(pid: Pid, fd: u32, kind: &str) -> String {
    match kind {
        "pidfd" => match pid_of_pidfd(pid, fd.into()) {
            Some(of) => format!("pidfd of {}", words::process(of)),
            None => kind.to_owned(),
        },
        "eventpoll" => {
            let watched: Vec<String> =
                watched_by_epoll(pid, fd.into()).iter().take(8).map(u64::to_string).collect();
            format!("eventpoll of {}", watched.join(", "))
        }
        kind => kind.to_owned(),
    }
}
