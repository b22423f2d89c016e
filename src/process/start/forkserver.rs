//! `ForkServer`: a small single-threaded copy of the executable that forks children for this process.
//!
//! This is the parent's side; the server's is [`super::server`]. The server works one fork ahead: one child
//! is always in reserve and waits to be told what to be, so that a start does not wait for a fork. Server and
//! reserve die with this process.
//!
//! A server passes on what it inherited at its own start. When that is no longer what a child must inherit
//! (another working directory, environment, limit, user: see [`Inherited`]), a new server takes its place. The two are
//! compared while the child in reserve wakes up and reads its boot message. It runs no code of the program before it has
//! its arguments, so a child that would not be what it must be ends without a trace.

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
    /// Of the parent, for comparisons.
    files: OwnFiles,
    inherited: Inherited,
    orders: OwnedFd,
    /// The channels of the child that was ordered and that the server has not announced yet.
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
    /// The server has so many threads, and a fork would copy one of them.
    Threads(usize),
    /// It was lost, or the system refused.
    Os(io::Error),
    /// The wait for it was broken off.
    Interrupted,
    /// The boot message cannot be sent.
    Boot(SendError),
}

impl From<io::Error> for ForkServerError {
    fn from(error: io::Error) -> Self {
        ForkServerError::Os(error)
    }
}

/// A child that was sent `boot` and waits for its arguments. The server is started at the first use, and again when it
/// is found dead or out of date. One that is stopped may go on at any time: only `interrupt` ends the wait for it.
pub(crate) fn forkserver(
    boot: &Boot,
    interrupt: Option<BorrowedFd<'_>>,
) -> Result<(Birth, Channels), ForkServerError> {
    let mut server = server();
    let mut reserve = None;
    if let Some(server) = server.as_mut() {
        // An error here is met again by the next order.
        if !server.await_delivery(interrupt, Deadline::NEVER).unwrap_or(true) {
            return Err(ForkServerError::Interrupted);
        }
        reserve = server.take_reserve();
    }
    // Sent first: what follows is done while the child reads it.
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

/// Sends a child its boot message. If it died meanwhile, that is found when its readiness is awaited.
fn send_boot(boot: &Boot, child: (Birth, Channels)) -> Result<(Birth, Channels), ForkServerError> {
    match child.1.boots.send_copy(boot) {
        Ok(()) | Err(SendError::Disconnected) => Ok(child),
        Err(error) => {
            child.0.end();
            Err(ForkServerError::Boot(error))
        }
    }
}

/// Has the next child made, now that the last one has what it needs.
pub(crate) fn forkserver_reorder() {
    if let Some(server) = &mut *server() {
        // A server that was lost is found dead by the next start.
        let _ = server.order();
    }
}

/// Forgets the server in a forked copy, which is not its parent; and takes in what was delivered, so
/// that a child in reserve is known as one of ours.
pub(crate) fn forkserver_settle() {
    if let Some(server) = &mut *server() {
        // A server that is stopped is not waited for: nothing needs the child.
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

    /// Whether its children would inherit what this process has now. Not if that is unknown.
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

    /// Takes the child that was ordered; none if the server died over it. False if it is still to come: the
    /// wait was broken off, or the deadline came.
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
                // The child is there, even where the kernel reaps by itself: it waits for its boot.
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

    /// The reserve, if there is one and it lives.
    fn take_reserve(&mut self) -> Option<(Birth, Channels)> {
        let (birth, channels) = self.reserve.take()?;
        if birth.has_ended() {
            birth.reap();
            return None;
        }
        Some((birth, channels))
    }

    /// A server that was killed between making a child and announcing it leaves a child whose PID this process was
    /// never told. It is in the server's group still, and ends by itself, for its socket is at its end. The number of
    /// the group is the server's as long as that is not reaped, so no other process is taken for the child. Children
    /// that were announced are left alone: one may be starting in another thread.
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

    /// Ends a server whose children would not be what they must be, or that is dead.
    fn retire(self) {
        if let Some((birth, _)) = &self.reserve {
            birth.end();
        }
        self.birth.kill();
        self.reap_strays();
        self.birth.reap();
    }
}
