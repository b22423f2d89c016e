//! Starting a process, by each of the three methods.
//!
//! # Safety
//! The environment of a forked child is changed while it has one thread, before any other code runs in it.
#![expect(unsafe_code, reason = "the environment of a forked child")]

use super::applied::{Applied, Refusal};
use super::child::{Child, Unready};
use super::current::{Identity, become_child, current};
use super::entry::{Boot, Channels, has_entered, place_of};
use super::error::StartError;
use super::family::Family;
use super::inbox::{Inbox, NotReady};
use super::live::{Obstacle, Report, live, refuse};
use super::process::Process;
use super::settings::Settings;
use super::start::{self, Birth, ForkError, ForkServerError, StartMethod};
use super::stdio::Pipes;
use super::target::Entry;
use crate::sys::pid::Pid;
use crate::sys::signal;
use crate::wire::control::{self, Message, SendError, Sender};
use crate::wire::unshared::share_in;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

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
        let (applied, pipes) = self.settings.prepare().map_err(|(setting, source)| StartError::Setting {
            name: identity.name.clone(),
            setting,
            source,
        })?;
        let (birth, inbox) = match self.method {
            StartMethod::Fork => forked(&self.entry, args, &identity, applied)?,
            StartMethod::Spawn | StartMethod::ForkServer => {
                let interrupt = family.and_then(|family| family.interrupt());
                fresh(&self.entry, args, &identity, &self.settings, applied, interrupt)?
            }
        };
        let family_of = family.map_or_else(Weak::new, Arc::downgrade);
        let child = Child::new(birth, &identity, self.leave_zombie, inbox, pipes, family_of);
        let ready = await_ready(&child, &identity.name);
        if self.method == StartMethod::ForkServer {
            // Not earlier, so that the next fork does not compete with this start for a processor.
            start::forkserver_reorder();
        }
        ready?;
        // Not earlier: another thread that waits for the family would take the child's report that it is ready, and
        // this one would wait forever.
        if let Some(family) = family {
            family.add(child.handle()).map_err(|source| {
                // No one could wait for it later.
                let _ = child.kill().map(|()| child.join());
                StartError::Os { name: identity.name.clone(), operation: "epoll_ctl", source }
            })?;
        }
        event!(INFO, name = child.name(), pid = child.pid().as_raw(), method = %self.method, "process started");
        Ok(child)
    }
}

/// Forks: the body and the arguments are in the copied memory.
fn forked<A: Message, T: Message + Send + 'static>(
    entry: &Entry<A, T>,
    args: A,
    identity: &Identity,
    mut settings: Applied,
) -> Result<(Birth, Inbox<T>), StartError> {
    let failed = |operation| os_error(identity, operation);
    let (report, reports) = control::channel().map_err(failed("socketpair"))?;
    let inbox = Inbox::new(reports);
    let body = entry.body;
    share_in(&args).map_err(failed("sharing the queues in its arguments"))?;
    let birth = start::fork(|| {
        signal::reset_handlers_after_fork();
        let joined = settings.join_group();
        if signal::reset_for_child().and_then(|()| become_child(identity.clone())).is_err() {
            std::process::exit(1);
        }
        // SAFETY: a forked child has one thread.
        unsafe { settings.set_environment() };
        if let Err(refusal) = joined.and_then(|()| settings.apply()).and_then(|()| settings.limit()) {
            refuse(refusal, &report)
        }
        live(body, args, &report)
    });
    match birth {
        Ok(birth) => Ok((birth, inbox)),
        Err(ForkError::Threads(n_threads)) => Err(StartError::Threads { n_threads }),
        Err(ForkError::Os(source)) => Err(failed("fork")(source)),
    }
}

/// Starts a fresh copy, by exec or by the fork server, and sends it its arguments.
fn fresh<A: Message, T: Message + Send + 'static>(
    entry: &Entry<A, T>,
    args: A,
    identity: &Identity,
    settings: &Settings,
    applied: Applied,
    interrupt: Option<BorrowedFd<'_>>,
) -> Result<(Birth, Inbox<T>), StartError> {
    if !has_entered() {
        return Err(StartError::NoChildEntry);
    }
    let name = || identity.name.clone();
    let place = place_of(entry.fresh).ok_or_else(|| StartError::NotInExecutable { name: name() })?;
    let boot = Boot { entry: place, identity: identity.clone(), settings: applied, report: None };
    let (birth, Channels { boots, reports }) = match identity.method {
        StartMethod::Spawn => exec(identity, settings, boot)?,
        _ => serve(identity, &boot, interrupt)?,
    };
    let inbox = Inbox::new(reports.cast::<Report<T>>());
    if let Err(error) = deliver(&boots.cast::<A>(), &args, identity) {
        // The child finds the end of the stream instead of its arguments, and exits.
        let child = Child::new(birth, identity, false, inbox, Pipes::default(), Weak::new());
        let _ = child.kill().map(|()| child.join());
        return Err(error);
    }
    Ok((birth, inbox))
}

/// Starts a fresh copy by exec, and sends it its boot message.
fn exec(identity: &Identity, settings: &Settings, mut boot: Boot) -> Result<(Birth, Channels), StartError> {
    let (boots, theirs) = control::channel::<Boot>().map_err(os_error(identity, "socketpair"))?;
    let (report, reports) = control::channel::<()>().map_err(os_error(identity, "socketpair"))?;
    boot.report = Some(report);
    let socket = theirs.as_fd().try_clone_to_owned().map_err(os_error(identity, "dup"))?;
    drop(theirs);
    // Sent before there is a child, so an error leaves none behind.
    deliver(&boots, &boot, identity)?;
    let birth = start::spawn(&identity.name, socket, settings.environment(), settings.leads_session())
        .map_err(os_error(identity, "exec"))?;
    Ok((birth, Channels { boots, reports }))
}

/// Starts a child of the fork server, and sends it its boot message.
fn serve(
    identity: &Identity,
    boot: &Boot,
    interrupt: Option<BorrowedFd<'_>>,
) -> Result<(Birth, Channels), StartError> {
    start::forkserver(boot, interrupt).map_err(|error| match error {
        ForkServerError::Interrupted => StartError::Interrupted { name: identity.name.clone() },
        ForkServerError::Threads(n_threads) => StartError::ServerThreads { n_threads },
        ForkServerError::Os(source) => os_error(identity, "the fork server")(source),
        ForkServerError::Boot(error) => not_sent(error, identity),
    })
}

/// Sends a value to a child. If it has died, the wait for its readiness reports that.
fn deliver<T: Message>(sender: &Sender<T>, value: &T, identity: &Identity) -> Result<(), StartError> {
    match sender.send_copy(value) {
        Ok(()) | Err(SendError::Disconnected) => Ok(()),
        Err(error) => Err(not_sent(error, identity)),
    }
}

fn not_sent(error: SendError, identity: &Identity) -> StartError {
    match error {
        SendError::Os(source) => os_error(identity, "sendmsg")(source),
        error => StartError::Args { name: identity.name.clone(), reason: error.to_string() },
    }
}

/// Waits until the child has its arguments or has died.
fn await_ready<T: Message + Send + 'static>(child: &Child<T>, name: &str) -> Result<(), StartError> {
    let name = || name.to_owned();
    match child.await_report() {
        Ok(None) => Ok(()),
        Ok(Some(Unready::Told(NotReady::BadArgs(Obstacle::Value(reason))))) => {
            Err(StartError::Args { name: name(), reason })
        }
        Ok(Some(Unready::Told(NotReady::BadArgs(Obstacle::Os(errno))))) => {
            let source = io::Error::from_raw_os_error(errno);
            Err(StartError::Os { name: name(), operation: "receiving its arguments", source })
        }
        Ok(Some(Unready::Told(NotReady::Refused(Refusal { setting, errno })))) => {
            let source = io::Error::from_raw_os_error(errno);
            Err(StartError::Setting { name: name(), setting, source })
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
