//! `ForkServer`: a small single-threaded copy of the executable that forks children for its parent.
//!
//! The server clones with `CLONE_PARENT`: what it makes are children of *its* parent, so their PPID is
//! the supervisor's PID and the supervisor reaps them. It has no child of its own and ends when its
//! parent ends: by the signal of its parent's death, and by the end of the stream of orders.
//!
//! It works one fork ahead: one child is always in reserve and waits to be told what to be, so that a
//! start does not wait for a fork. The reserve dies with the supervisor, too.
//!
//! # Safety
//! The server has one thread: it is a fresh copy in which only [`serve`] ran.
#![expect(unsafe_code, reason = "process creation")]

use super::{Birth, StartMethod};
use crate::process::child::Handle;
use crate::process::entry::Boot;
use crate::process::reap::{forget_child, note_child};
use crate::process::{Process, error::StartError};
use crate::sys::fork::{Forked, fork_sibling};
use crate::sys::poll::{Deadline, readable};
use crate::sys::{pidfd, task, wait};
use crate::wire::endpoint::{PollableReceiver, pollable_channel};
use ipc_channel::ipc::{self, IpcReceiver, IpcSender};
use serde::{Deserialize, Serialize};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The PID of a new child and where it waits for what it shall be; or the number of the error of the
/// clone that failed.
type Delivery = Result<(i32, IpcSender<Boot>), i32>;

/// An order carries the PID that the child's parent must have.
#[derive(Debug, Serialize, Deserialize)]
struct Order {
    parent_pid: i32,
}

struct Server {
    /// The process that started it: a fork copies this value, but is not the server's parent.
    parent: i32,
    handle: Handle,
    orders: IpcSender<Order>,
    deliveries: PollableReceiver<Delivery>,
    /// Whether a child was ordered that has not been delivered.
    is_ordered: bool,
    reserve: Option<Reserve>,
}

struct Reserve {
    birth: Birth,
    boots: IpcSender<Boot>,
}

static SERVER: Mutex<Option<Server>> = Mutex::new(None);

fn server() -> MutexGuard<'static, Option<Server>> {
    let mut server = SERVER.lock().unwrap_or_else(PoisonError::into_inner);
    server.take_if(|server| server.parent != task::pid());
    server
}

/// Why there is no child.
pub(crate) enum ForkServerError {
    /// The server itself could not be started.
    Start(Box<StartError>),
    /// It was lost, or refused.
    Os(io::Error),
    /// The wait for it was broken off.
    Interrupted,
}

impl From<io::Error> for ForkServerError {
    fn from(error: io::Error) -> Self {
        ForkServerError::Os(error)
    }
}

/// A child that waits for its [`Boot`]. The server is started at the first use, and again when it is
/// found dead. One that is stopped may go on at any time: only `interrupt` ends the wait for it.
pub(crate) fn forkserver(
    interrupt: Option<BorrowedFd<'_>>,
) -> Result<(Birth, IpcSender<Boot>), ForkServerError> {
    let mut server = server();
    if let Some(server) = server.as_mut() {
        // An error here is met again by whoever orders next.
        if !server.await_delivery(interrupt, Deadline::NEVER).unwrap_or(true) {
            return Err(ForkServerError::Interrupted);
        }
        if let Some(Reserve { birth, boots }) = server.take_reserve() {
            return Ok((birth, boots));
        }
    }
    if server.as_ref().is_none_or(|server| !server.handle.is_alive()) {
        *server = None;
        *server = Some(start()?);
    }
    let server = server.as_mut().expect("it was started above if there was none");
    server.order()?;
    if !server.await_delivery(interrupt, Deadline::NEVER)? {
        return Err(ForkServerError::Interrupted);
    }
    let Reserve { birth, boots } = server
        .take_reserve()
        .ok_or_else(|| io::Error::other("it was killed; the next start makes a new one"))?;
    Ok((birth, boots))
}

/// Has the next child made, now that the last one has what it needs.
pub(crate) fn forkserver_reorder() {
    if let Some(server) = &mut *server() {
        // A server that was lost is found dead by the next start.
        let _ = server.order();
    }
}

/// How long a delivery may take where nobody needs the child: a server that is stopped is not waited for.
const SETTLE: Duration = Duration::from_secs(1);

/// Forgets the server in a forked copy, which is not its parent; and takes in what was delivered, so
/// that a child in reserve is known as one of ours.
pub(crate) fn forkserver_settle() {
    if let Some(server) = &mut *server() {
        let _ = server.await_delivery(None, Deadline::after(SETTLE));
    }
}

impl Server {
    fn order(&mut self) -> io::Result<()> {
        if self.reserve.is_none() && !self.is_ordered {
            self.orders.send(Order { parent_pid: self.parent }).map_err(io::Error::other)?;
            self.is_ordered = true;
        }
        Ok(())
    }

    /// Takes the child that was ordered; none if the server died over it. False if it is still to come: the
    /// wait was broken off, or the deadline came.
    fn await_delivery(&mut self, interrupt: Option<BorrowedFd<'_>>, deadline: Deadline) -> io::Result<bool> {
        if !self.is_ordered {
            return Ok(true);
        }
        let mut sources = vec![self.deliveries.as_fd(), self.handle.as_fd()];
        sources.extend(interrupt);
        let ready = readable(&sources, deadline)?;
        if !ready[0] && !ready[1] {
            return Ok(false);
        }
        self.is_ordered = false;
        if !ready[0] {
            self.reap_stray();
            return Ok(true);
        }
        match self.deliveries.try_recv() {
            Ok(Ok((pid, boots))) => {
                // The child is there, even where the kernel reaps by itself: it waits for its boot.
                let birth = Birth { pid, pidfd: pidfd::open(pid)? };
                note_child(pid);
                self.reserve = Some(Reserve { birth, boots });
                Ok(true)
            }
            Ok(Err(errno)) => Err(io::Error::from_raw_os_error(errno)),
            Err(error) => {
                // Nobody can boot the child that was announced, so it ends.
                self.reap_stray();
                Err(io::Error::other(error))
            }
        }
    }

    /// The reserve, if there is one and it lives.
    fn take_reserve(&mut self) -> Option<Reserve> {
        let reserve = self.reserve.take()?;
        let is_dead = readable(&[reserve.birth.pidfd.as_fd()], Deadline::now()).is_ok_and(|ready| ready[0]);
        if is_dead {
            let _ = wait::try_wait(wait::Whose::Pidfd(reserve.birth.pidfd.as_fd()), wait::Zombie::Reap);
            forget_child(reserve.birth.pid);
            return None;
        }
        Some(reserve)
    }

    /// A server that was killed between making a child and delivering it, or a delivery that cannot be
    /// received, leaves a child whose PID nobody knows. It is in the server's group still, and ends, for nobody can boot it.
    fn reap_stray(&self) {
        let _ = wait::wait_for_group(self.handle.pid());
    }
}

fn start() -> Result<Server, ForkServerError> {
    let (orders, incoming) = ipc::channel()?;
    let (outgoing, deliveries) = pollable_channel()?;
    let handle = Process::new(serve)
        .args((incoming, outgoing))
        .name("forkserver")
        .start_method(StartMethod::Spawn)
        .daemon(false)
        .die_with_parent(true)
        .launch(None)
        .map_err(|error| ForkServerError::Start(Box::new(error)))?
        .handle()
        .clone();
    Ok(Server { parent: task::pid(), handle, orders, deliveries, is_ordered: false, reserve: None })
}

/// The server's life: one fork an order, until its parent is gone.
fn serve(orders: IpcReceiver<Order>, deliveries: IpcSender<Delivery>) {
    while let Ok(order) = orders.recv() {
        let Ok((boots, boot)) = ipc::channel::<Boot>() else {
            let _ = deliveries.send(Err(io::Error::last_os_error().raw_os_error().unwrap_or(0)));
            continue;
        };
        // SAFETY: the one thread of this process is here.
        match unsafe { fork_sibling() } {
            Ok(Forked::Child) => {
                drop((orders, deliveries, boots));
                stand_by(&order, boot)
            }
            Ok(Forked::Parent(pid)) => drop(deliveries.send(Ok((pid, boots)))),
            Err(error) => drop(deliveries.send(Err(error.raw_os_error().unwrap_or(0)))),
        }
    }
}

/// The life of the reserve: it waits to be told what to be, or for the end of whoever would tell it.
fn stand_by(order: &Order, boot: IpcReceiver<Boot>) -> ! {
    if task::die_with_parent(true).is_ok() && task::ppid() == order.parent_pid {
        warm_up();
        if let Ok(message) = boot.recv() {
            message.run(boot.to_opaque())
        }
    }
    std::process::exit(1)
}

/// Touches the code and the memory that a start needs. A fork copies no page tables of files and shares
/// all else until it is written: better these faults come now, while nobody waits, than at the start.
fn warm_up() {
    if let Ok((sender, receiver)) = ipc::channel::<Result<String, i32>>() {
        let _ = sender.send(Ok(String::new())).map(|()| receiver.recv());
    }
}
