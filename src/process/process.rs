//! The builder of a process.

use super::child::{Child, Unready};
use super::current::{Identity, become_child, current};
use super::entry::{Boot, has_entered, place_of};
use super::error::StartError;
use super::family::Family;
use super::inbox::Inbox;
use super::live::{Obstacle, Report, live};
use super::start::{self, Birth, ForkError, ForkServerError, StartMethod};
use super::target::{Entry, Given, Itself, Owned, Run, Target};
use crate::sys::pid::Pid;
use crate::sys::{signal, task};
use crate::wire::control::{self, Message, SendError, Sender};
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

/// A process to be started: a body, its arguments, and its settings.
///
/// After Python's `multiprocessing.Process`. `A` is the type of its arguments, `T` what its body
/// returns to the parent. `G` is `A` once the arguments are [given](Self::args): only then can it be started.
///
/// # What the process is given
/// The same by every start method, as it is at the moment of the start: the parent's working directory, environment,
/// limits, users, session and controlling terminal, its standard output and error; `/dev/null` as standard input; no
/// blocked signals, and the default dispositions but for signals that the parent ignores.
///
/// It leads a process group of its own. Ctrl-C (`SIGINT`) and a closed terminal (`SIGHUP`) are sent to the foreground
/// group, which is the parent's: they reach the parent, which ends its children in order or dies, and then the
/// kernel [kills the children](Process::die_with_parent). Ctrl-Z stops the parent alone.
#[must_use = "a process does nothing until a supervisor starts it"]
pub struct Process<A, T, G = A> {
    entry: Entry<A, T>,
    args: G,
    name: Option<String>,
    daemon: Option<bool>,
    method: StartMethod,
    outlives_parent: bool,
    leave_zombie: bool,
}

impl<A: Message + 'static, T: Message + Send + 'static> Process<A, T> {
    /// A process that runs `target`: a `fn`, or a closure that captures nothing, with up to six arguments.
    ///
    /// ```no_run
    /// use proclab::{Process, Supervisor};
    ///
    /// fn add(a: u64, b: u64) -> u64 {
    ///     a + b
    /// }
    ///
    /// # proclab::child_entry();
    /// let supervisor = Supervisor::new()?;
    /// let child = supervisor.start(Process::new(add).args((2, 3)))?;
    /// assert_eq!(child.result()?, 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// What is not such a function does not compile: a closure that captures something, a pointer to a function, a
    /// function that takes references or more than six arguments, and a start without the arguments.
    pub fn new<F, M, Which, Kind>(target: F) -> Process<A, T, F::Unset>
    where
        F: Target<M, Args = A, Output = T> + Itself<Which>,
        A: Owned<Kind>,
    {
        Process::of(Entry::function(target), F::Unset::default())
    }

    /// A process that runs `object`, whose fields are its arguments.
    pub fn object(object: A) -> Self
    where
        A: Run<Output = T>,
    {
        Process::of(Entry::object(), object)
    }
}

impl<A, T, G> Process<A, T, G> {
    fn of(entry: Entry<A, T>, args: G) -> Self {
        let method = StartMethod::default();
        Process { entry, args, name: None, daemon: None, method, outlives_parent: false, leave_zombie: false }
    }

    /// The arguments: one as itself, several as a tuple. They are moved under `Fork`, sent otherwise.
    pub fn args(self, args: A) -> Process<A, T> {
        let Process { entry, args: _, name, daemon, method, outlives_parent, leave_zombie } = self;
        Process { entry, args, name, daemon, method, outlives_parent, leave_zombie }
    }

    /// Its name, the first 15 bytes of which `ps` shows; `Process-1`, `Process-2`… by default.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Whether it is a daemon: it is terminated when its supervisor ends, dies with its parent even when
    /// that is killed, and may not have children. Inherited from the parent by default.
    pub fn daemon(mut self, daemon: bool) -> Self {
        self.daemon = Some(daemon);
        self
    }

    /// How it is started; `Spawn` by default.
    pub fn start_method(mut self, method: StartMethod) -> Self {
        self.method = method;
        self
    }

    /// Whether the kernel kills it (`SIGKILL`) when its parent dies, however that dies: by Ctrl-C, `SIGKILL`, or a
    /// crash (`PR_SET_PDEATHSIG(2const)`). True by default, so that no child is orphaned by
    /// accident; always true for a daemon.
    ///
    /// A child of a child dies with its own parent in turn. Programs that a child runs by other means
    /// ([`std::process::Command`]) are its own affair.
    pub fn die_with_parent(mut self, die: bool) -> Self {
        self.outlives_parent = !die;
        self
    }

    /// Once it has ended, leaves it a zombie until [`Handle::reap`](super::Handle::reap) or the end of
    /// its supervisor.
    pub fn leave_zombie(mut self, leave: bool) -> Self {
        self.leave_zombie = leave;
        self
    }

    /// Whether it will be a daemon, by its setting or by inheritance.
    pub fn is_daemon(&self) -> bool {
        self.daemon.unwrap_or_else(|| current().is_daemon())
    }

    /// The same with its arguments, which have been given.
    pub(crate) fn complete(self) -> Process<A, T>
    where
        G: Given<A>,
    {
        let Process { entry, args, name, daemon, method, outlives_parent, leave_zombie } = self;
        Process { entry, args: args.into_args(), name, daemon, method, outlives_parent, leave_zombie }
    }
}

impl<A: Message + 'static, T: Message + Send + 'static> Process<A, T> {
    /// Starts it as a child of this process, a member of `family` if there is one.
    pub(crate) fn launch(self, family: Option<&Arc<Family>>) -> Result<Child<T>, StartError> {
        static COUNT: AtomicU64 = AtomicU64::new(1);
        let daemon = self.is_daemon();
        let parent = current();
        let name = self.name.unwrap_or_else(|| format!("Process-{}", COUNT.fetch_add(1, Ordering::Relaxed)));
        if parent.is_daemon() {
            return Err(StartError::DaemonHasChildren { name: parent.name().to_owned() });
        }
        let args = self.args;
        let identity = Identity {
            name,
            daemon,
            method: self.method,
            parent_pid: Pid::this(),
            parent_name: parent.name().to_owned(),
            die_with_parent: daemon || !self.outlives_parent,
        };
        let (birth, inbox) = match self.method {
            StartMethod::Fork => forked(&self.entry, args, &identity)?,
            StartMethod::Spawn | StartMethod::ForkServer => {
                fresh(&self.entry, args, &identity, family.and_then(|family| family.interrupt()))?
            }
        };
        let family_of = family.map_or_else(Weak::new, Arc::downgrade);
        let child = Child::new(birth, &identity, self.leave_zombie, inbox, family_of);
        let ready = await_ready(&child, &identity.name);
        if self.method == StartMethod::ForkServer {
            // Only now: the next fork should not take the processor from this start.
            start::forkserver_reorder();
        }
        ready?;
        // Only now: another thread that looked after the family meanwhile would take the child's word that it is
        // ready, and this one would wait for it for ever.
        if let Some(family) = family {
            family.add(child.handle()).map_err(|source| {
                // Nothing could wait for it later.
                let _ = child.kill().map(|()| child.join());
                StartError::Os { name: identity.name.clone(), operation: "epoll_ctl", source }
            })?;
        }
        Ok(child)
    }
}

impl<A, T, G> fmt::Debug for Process<A, T, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Process { name, daemon, method, .. } = self;
        f.debug_struct("Process")
            .field("name", name)
            .field("daemon", daemon)
            .field("method", method)
            .finish_non_exhaustive()
    }
}

/// Forks: body and arguments are there already, in the copied memory.
fn forked<A: Message, T: Message + Send + 'static>(
    entry: &Entry<A, T>,
    args: A,
    identity: &Identity,
) -> Result<(Birth, Inbox<T>), StartError> {
    let failed = |operation| os_error(identity, operation);
    let (report, reports) = control::channel().map_err(failed("socketpair"))?;
    let inbox = Inbox::new(reports);
    let body = entry.body;
    let birth = start::fork(|| {
        signal::reset_handlers_after_fork();
        let lone = task::lead_group().and_then(|()| signal::reset_for_child());
        if lone.and_then(|()| become_child(identity.clone())).is_err() {
            std::process::exit(1);
        }
        live(body, args, &report)
    });
    match birth {
        Ok(birth) => Ok((birth, inbox)),
        Err(ForkError::Threads(n_threads)) => Err(StartError::Threads { n_threads }),
        Err(ForkError::Os(source)) => Err(failed("fork")(source)),
    }
}

/// Has a fresh copy made, by exec or by the fork server, and sends it its arguments.
fn fresh<A: Message, T: Message + Send + 'static>(
    entry: &Entry<A, T>,
    args: A,
    identity: &Identity,
    interrupt: Option<BorrowedFd<'_>>,
) -> Result<(Birth, Inbox<T>), StartError> {
    if !has_entered() {
        return Err(StartError::NoChildEntry);
    }
    let name = || identity.name.clone();
    let place = place_of(entry.fresh).ok_or_else(|| StartError::NotInExecutable { name: name() })?;
    let (report, reports) = control::channel::<Report<T>>().map_err(os_error(identity, "socketpair"))?;
    let inbox = Inbox::new(reports);
    let boot = Boot { entry: place, identity: identity.clone(), report: report.cast() };
    let is_spawn = identity.method == StartMethod::Spawn;
    let (birth, boots) = if is_spawn { exec(identity)? } else { serve(identity, interrupt)? };
    let sent = deliver(&boots, boot, identity).and_then(|()| deliver(&boots.cast::<A>(), args, identity));
    if let Err(error) = sent {
        // The child sees the end of the stream where its arguments should be, and ends.
        let child = Child::new(birth, identity, false, inbox, Weak::new());
        let _ = child.kill().map(|()| child.join());
        return Err(error);
    }
    Ok((birth, inbox))
}

/// A fresh copy by exec, and where it waits for its boot.
fn exec(identity: &Identity) -> Result<(Birth, Sender<Boot>), StartError> {
    let (boots, boot) = control::channel::<Boot>().map_err(os_error(identity, "socketpair"))?;
    let socket = boot.as_fd().try_clone_to_owned().map_err(os_error(identity, "dup"))?;
    drop(boot);
    let birth = start::spawn(&identity.name, socket).map_err(os_error(identity, "exec"))?;
    Ok((birth, boots))
}

/// A fork of the fork server's, and where it waits for its boot.
fn serve(
    identity: &Identity,
    interrupt: Option<BorrowedFd<'_>>,
) -> Result<(Birth, Sender<Boot>), StartError> {
    start::forkserver(interrupt).map_err(|error| match error {
        ForkServerError::Interrupted => StartError::Interrupted { name: identity.name.clone() },
        ForkServerError::Threads(n_threads) => StartError::ServerThreads { n_threads },
        ForkServerError::Os(source) => os_error(identity, "the fork server")(source),
    })
}

/// Sends a child what it needs. One that died meanwhile is found out when its readiness is awaited.
fn deliver<T: Message>(sender: &Sender<T>, value: T, identity: &Identity) -> Result<(), StartError> {
    match sender.send(value) {
        Ok(()) | Err(SendError::Disconnected) => Ok(()),
        Err(SendError::Os(source)) => Err(os_error(identity, "sendmsg")(source)),
        Err(error) => Err(StartError::Args { name: identity.name.clone(), reason: error.to_string() }),
    }
}

/// Waits until the child has its arguments. Its death is one of the answers, so there is always one.
fn await_ready<T: Message + Send + 'static>(child: &Child<T>, name: &str) -> Result<(), StartError> {
    let name = || name.to_owned();
    match child.await_report() {
        Ok(None) => Ok(()),
        Ok(Some(Unready::BadArgs(Obstacle::Value(reason)))) => Err(StartError::Args { name: name(), reason }),
        Ok(Some(Unready::BadArgs(Obstacle::Os(errno)))) => {
            let source = io::Error::from_raw_os_error(errno);
            Err(StartError::Os { name: name(), operation: "receiving its arguments", source })
        }
        Ok(Some(Unready::Died(exit))) => Err(StartError::DiedBeforeReady { name: name(), exit }),
        Err(error) => {
            let _ = child.kill();
            let _ = child.reap_now();
            Err(match error {
                super::JoinError::Os(source) => {
                    StartError::Os { name: name(), operation: "waiting for it to be ready", source }
                }
                _ => StartError::Interrupted { name: name() },
            })
        }
    }
}

fn os_error(identity: &Identity, operation: &'static str) -> impl FnOnce(io::Error) -> StartError + use<> {
    let name = identity.name.clone();
    move |source| StartError::Os { name, operation, source }
}
