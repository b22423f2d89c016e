//! `ForkServer`: a small single-threaded copy of the executable that forks children for this process.
//!
//! This is the parent's side; the server's is [`super::server`]. The server forks ahead: one child is always in
//! reserve and waits for its boot message, so a start does not wait for a fork. Server and reserve die with this
//! process.
//!
//! Its children inherit what the server inherited when it was started. If that is no longer what a child must inherit
//! (another working directory, environment, limit, user: see [`Inherited`]), the server is replaced. This is checked
//! while the child in reserve wakes up and reads its boot message. That child runs no code of the program before it
//! has its arguments, so one that has inherited the wrong state can be discarded.

use super::inherited::Inherited;
use super::server::Answer;
use super::spawn::spawn_server;
use super::{Birth, SETTLE};
use crate::process::entry::{Boot, Channels};
use crate::process::reap::{is_known, record_child};
use crate::sys::descriptor::send_message;
use crate::sys::pid::Pid;
use crate::sys::poll::{Deadline, readable};
use crate::sys::procfs::stat::Stat;
use crate::sys::procfs::status::OwnFiles;
use crate::sys::procfs::tree;
use crate::sys::socket::{packet_pair, receive_message};
use crate::wire::control::{self, SendError};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

struct Server {
    /// The process that started it: a fork copies this value, but is not the server's parent.
    parent: Pid,
    birth: Birth,
    /// The parent's, for comparison.
    files: OwnFiles,
    inherited: Inherited,
    orders: OwnedFd,
    /// The channels of the child that was ordered and that the server has not announced.
    ordered: Option<Channels>,
    reserve: Option<(Birth, Channels)>,
}

static SERVER: Mutex<Option<Server>> = Mutex::new(None);

fn server() -> MutexGuard<'static, Option<Server>> {
    let mut server = SERVER.lock().unwrap_or_else(PoisonError::into_inner);
    server.take_if(|server| server.parent != Pid::this());
    server
}

/// Why no child was made.
pub(crate) enum ForkServerError {
    /// The server has this many threads, of which a fork would copy only one.
    Threads(usize),
    /// The server was killed, or a system call failed.
    Os(io::Error),
    /// The wait for it was interrupted.
    Interrupted,
    /// The boot message cannot be sent.
    Boot(SendError),
}

impl From<io::Error> for ForkServerError {
    fn from(error: io::Error) -> Self {
        ForkServerError::Os(error)
    }
}

/// Returns a child that was sent `boot` and waits for its arguments. Starts the server on first use, and again if it
/// is dead or out of date. A stopped server may continue at any time, so only `interrupt` ends the wait for it.
pub(crate) fn forkserver(
    boot: &Boot,
    interrupt: Option<BorrowedFd<'_>>,
) -> Result<(Birth, Channels), ForkServerError> {
    let mut server = server();
    let mut reserve = None;
    if let Some(server) = server.as_mut() {
        // The next order reports this error.
        if !server.await_delivery(interrupt, Deadline::NEVER).unwrap_or(true) {
            return Err(ForkServerError::Interrupted);
        }
        reserve = server.take_reserve();
    }
    // Sent first: the child reads it during the following steps.
    let booted = reserve.map(|reserve| send_boot(boot, reserve)).transpose()?;
    if server.as_ref().is_some_and(Server::is_up_to_date) {
        if let Some(booted) = booted {
            return Ok(booted);
        }
    } else {
        booted.into_iter().for_each(|(birth, _)| birth.end());
        server.take().into_iter().for_each(Server::retire);
    }
    if server.as_ref().is_none_or(|server| server.birth.has_ended()) {
        server.take().into_iter().for_each(Server::retire);
        *server = Some(Server::start()?);
    }
    let server = server.as_mut().expect("it was started above if there was none");
    server.order()?;
    if !server.await_delivery(interrupt, Deadline::NEVER)? {
        return Err(ForkServerError::Interrupted);
    }
    let reserve = server
        .take_reserve()
        .ok_or_else(|| io::Error::other("it was killed; the next start makes a new one"))?;
    send_boot(boot, reserve)
}

/// Sends a child its boot message. If it has died, the wait for its readiness reports that.
fn send_boot(boot: &Boot, child: (Birth, Channels)) -> Result<(Birth, Channels), ForkServerError> {
    match child.1.boots.send_copy(boot) {
        Ok(()) | Err(SendError::Disconnected) => Ok(child),
        Err(error) => {
            child.0.end();
            Err(ForkServerError::Boot(error))
        }
    }
}

/// Orders the next reserve, now that the last child has what it needs.
pub(crate) fn forkserver_reorder() {
    if let Some(server) = &mut *server() {
        // The next start notices a dead server.
        let _ = server.order();
    }
}

/// Forgets the server in a forked copy, which is not its parent. Otherwise accepts what was delivered, so that the
/// child in reserve is known to be a child of this process.
pub(crate) fn forkserver_settle() {
    if let Some(server) = &mut *server() {
        // Not for long: no caller needs the child, and the server may be stopped.
        let _ = server.await_delivery(None, Deadline::after(SETTLE));
    }
}

impl Server {
    fn start() -> io::Result<Server> {
        let files = OwnFiles::open()?;
        let inherited = Inherited::now(&files)?;
        let (orders, theirs) = packet_pair()?;
        let birth = spawn_server(theirs)?;
        record_child(birth.pid);
        Ok(Server { parent: Pid::this(), birth, files, inherited, orders, ordered: None, reserve: None })
    }

    /// Whether its children would inherit the present state of this process; false if that is unknown.
    fn is_up_to_date(&self) -> bool {
        Inherited::now(&self.files).is_ok_and(|now| self.inherited.is_same(&now, self.birth.pid))
    }

    /// Orders a child: sends the server the child's ends of its channels.
    fn order(&mut self) -> io::Result<()> {
        if self.reserve.is_none() && self.ordered.is_none() {
            let (boots, boot) = control::channel()?;
            let (report, reports) = control::channel()?;
            send_message(self.orders.as_fd(), &[0], &[boot.as_fd(), report.socket()?])?;
            self.ordered = Some(Channels { boots, reports });
        }
        Ok(())
    }

    /// Accepts the child that was ordered, or none if the server died. Returns false if it has not arrived: the wait
    /// was interrupted, or the deadline has passed.
    fn await_delivery(
        &mut self,
        interrupt: Option<BorrowedFd<'_>>,
        deadline: Deadline,
    ) -> Result<bool, ForkServerError> {
        if self.ordered.is_none() {
            return Ok(true);
        }
        let mut sources = vec![self.orders.as_fd(), self.birth.pidfd.as_fd()];
        sources.extend(interrupt);
        let ready = readable(&sources, deadline)?;
        if !ready[0] && !ready[1] {
            return Ok(false);
        }
        let received = receive_message(self.orders.as_fd());
        let channels = self.ordered.take().expect("looked at above");
        match received.map(Answer::from_bytes) {
            Ok(Some(Answer::Made(pid))) => {
                // The child exists even if the kernel reaps children automatically: it waits for its boot message.
                let birth = Birth::hold(pid)?;
                record_child(pid);
                self.reserve = Some((birth, channels));
                Ok(true)
            }
            Ok(Some(Answer::Threads(count))) => {
                Err(ForkServerError::Threads(usize::try_from(count).unwrap_or(usize::MAX)))
            }
            Ok(Some(Answer::Failed(errno))) => Err(io::Error::from_raw_os_error(errno).into()),
            // It is dead, or about to be.
            Ok(None) | Err(_) => {
                drop(channels);
                self.reap_strays();
                Ok(true)
            }
        }
    }

    /// Takes the reserve if there is one and it is alive.
    fn take_reserve(&mut self) -> Option<(Birth, Channels)> {
        let (birth, channels) = self.reserve.take()?;
        if birth.has_ended() {
            birth.reap();
            return None;
        }
        Some((birth, channels))
    }

    /// Ends a child that the server created but did not announce before it was killed. The child is still in the
    /// server's process group, and exits by itself because its socket was closed. The group's ID is not reused until
    /// the server is reaped, so no other process is mistaken for the child. Announced children are left alone: one
    /// may be starting in another thread.
    fn reap_strays(&self) {
        let group = self.birth.pid;
        let is_stray = |one: &Stat| {
            one.ppid == self.parent && one.pgid == group && one.pid != group && !is_known(one.pid)
        };
        let strays = tree::all().unwrap_or_default().into_iter().filter(is_stray);
        for pid in strays.map(|stray| stray.pid) {
            let _ = Birth::hold(pid).map(|stray| stray.end());
        }
    }

    /// Ends a server that is out of date or dead.
    fn retire(self) {
        if let Some((birth, _)) = &self.reserve {
            birth.end();
        }
        self.birth.kill();
        self.reap_strays();
        self.birth.reap();
    }
}
