//! `ForkServer`: a small single-threaded copy of the executable that forks children for its parent.
//!
//! The server clones with `CLONE_PARENT`: what it makes are children of *its* parent, so their PPID is
//! the supervisor's PID and the supervisor reaps them. It has no child of its own and ends when its
//! parent ends: by the signal of its parent's death, and by the end of the stream of requests.
//!
//! # Safety
//! The server has one thread: it is a fresh copy in which only [`serve`] ran.
#![expect(unsafe_code, reason = "process creation")]

use super::{Birth, StartMethod};
use crate::process::child::Handle;
use crate::process::entry::Boot;
use crate::process::{Process, error::StartError};
use crate::sys::fork::{Forked, fork_sibling};
use crate::sys::{pidfd, poll, task};
use crate::wire::endpoint::{PollableReceiver, pollable_channel};
use ipc_channel::ipc::{self, IpcReceiver, IpcSender, OpaqueIpcReceiver};
use serde::{Deserialize, Serialize};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Mutex, PoisonError};

#[derive(Debug, Serialize, Deserialize)]
struct Request {
    boot: Boot,
    args: OpaqueIpcReceiver,
}

/// The PID of the new child, or the error number of the clone that failed.
type Reply = Result<i32, i32>;

struct Server {
    /// The process that started it: a fork copies this value, but is not the server's parent.
    pid: i32,
    handle: Handle,
    requests: IpcSender<Request>,
    replies: PollableReceiver<Reply>,
}

static SERVER: Mutex<Option<Server>> = Mutex::new(None);

/// Why there is no child.
pub(crate) enum ForkServerError {
    /// The server itself could not be started.
    Start(Box<StartError>),
    /// It was lost, or refused.
    Os(io::Error),
}

/// Has the server make a child, which then reads its arguments from `args`.
///
/// The server is started at the first use, and again when it is found dead. It may be killed between
/// having made the child and telling of it: then the child's own report, of which `report` is the
/// socket, is what is left, and the caller finds the PID in there.
pub(crate) fn forkserver(
    boot: Boot,
    args: OpaqueIpcReceiver,
    report: BorrowedFd<'_>,
) -> Result<Option<Birth>, ForkServerError> {
    let mut server = SERVER.lock().unwrap_or_else(PoisonError::into_inner);
    server.take_if(|server| server.pid != task::pid() || !server.handle.is_alive());
    let server = match &mut *server {
        Some(server) => server,
        none => none.insert(start()?),
    };
    server.requests.send(Request { boot, args }).map_err(|e| ForkServerError::Os(io::Error::other(e)))?;
    let sources = [server.replies.as_fd(), server.handle.as_fd(), report];
    loop {
        let ready = poll::readable(&sources, poll::Deadline::NEVER).map_err(ForkServerError::Os)?;
        if ready[0] {
            return match server.replies.try_recv() {
                Ok(Ok(pid)) => birth(pid).map(Some),
                Ok(Err(errno)) => Err(io::Error::from_raw_os_error(errno)),
                Err(error) => Err(io::Error::other(error)),
            }
            .map_err(ForkServerError::Os);
        }
        if ready[1] {
            return Ok(None);
        }
        // Only the child's report is there: the server's reply comes, or the server's death does.
        poll::readable(&sources[..2], poll::Deadline::NEVER).map_err(ForkServerError::Os)?;
    }
}

/// The child waits for nothing of ours, so where the kernel reaps by itself it may be gone already.
fn birth(pid: i32) -> io::Result<Birth> {
    Ok(Birth { pid, pidfd: pidfd::open(pid)? })
}

fn start() -> Result<Server, ForkServerError> {
    let (requests, incoming) = ipc::channel().map_err(|e| ForkServerError::Os(io::Error::other(e)))?;
    let (outgoing, replies) = pollable_channel().map_err(ForkServerError::Os)?;
    let server = Process::new(serve)
        .args((incoming, outgoing))
        .name("forkserver")
        .start_method(StartMethod::Spawn)
        .die_with_parent(true)
        .launch(None)
        .map_err(|error| ForkServerError::Start(Box::new(error)))?;
    Ok(Server { pid: task::pid(), handle: server.handle().clone(), requests, replies })
}

/// The server's life: one fork a request, until its parent is gone.
fn serve(requests: IpcReceiver<Request>, replies: IpcSender<Reply>) {
    while let Ok(request) = requests.recv() {
        // SAFETY: the one thread of this process is here.
        match unsafe { fork_sibling() } {
            Ok(Forked::Child) => {
                drop((requests, replies));
                request.boot.run(request.args)
            }
            Ok(Forked::Parent(pid)) => drop(replies.send(Ok(pid))),
            Err(error) => drop(replies.send(Err(error.raw_os_error().unwrap_or(0)))),
        }
    }
}
