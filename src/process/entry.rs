//! The entry point of a fresh copy of the executable: from `main` to the body that its parent chose.
//!
//! The parent executes its own file again, with a mark in the arguments and the receiving socket of a channel as
//! standard input. The first message on that socket identifies the function to run by its offset from the beginning
//! of the executable. `/proc/self/exe` is the file that the parent runs, even if it has been replaced since, so the
//! offset is the same in both.
//!
//! # Safety
//! An address is converted to a function. The parent computed it from such a function of the same executable, and
//! sent it over a socket that no other process holds.
#![expect(unsafe_code, reason = "a function is called by its place in the executable")]

use super::applied::{Applied, Refusal};
use super::current::{Identity, become_child};
use super::live::{Obstacle, Report, live, refuse};
use super::start::StartMethod;
use crate::sys::pid::Pid;
use crate::sys::poll::{Deadline, readable};
use crate::sys::socket::has_message;
use crate::sys::{descriptor, object, signal};
use crate::wire::control::{self, Message, Receiver, Sender};
use serde::{Deserialize, Serialize};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

/// The first argument of a fresh copy; its name is the second.
pub(crate) const MARK: &str = "--proclab-child";

static ENTERED: AtomicBool = AtomicBool::new(false);

/// The first message to a fresh child.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Boot {
    /// The offset of [`super::target::Entry::fresh`] from the beginning of the executable.
    pub(crate) entry: usize,
    pub(crate) identity: Identity,
    pub(crate) settings: Applied,
    /// The channel for its reports, whose type the entry knows. A child of the fork server already has it.
    pub(crate) report: Option<Sender<()>>,
}

/// The parent's ends of the channels of a fresh child.
#[derive(Debug)]
pub(crate) struct Channels {
    /// For its boot message, and then its arguments.
    pub(crate) boots: Sender<Boot>,
    /// For its reports.
    pub(crate) reports: Receiver<()>,
}

/// A fresh child that is set up and can receive its arguments.
#[derive(Debug)]
pub(crate) struct FreshStart {
    args: Receiver<Boot>,
    report: Sender<()>,
    /// The remaining settings, unless one was refused.
    settings: Result<Applied, Refusal>,
}

impl FreshStart {
    /// Receives the arguments, runs `body` on them and ends the process.
    pub(crate) fn run<A: Message, T: Message>(self, body: fn(A) -> T) -> ! {
        let args: Receiver<A> = self.args.cast();
        let report: Sender<Report<T>> = self.report.cast();
        let settings = match self.settings {
            Ok(settings) => settings,
            Err(refusal) => refuse(refusal, &report),
        };
        match args.recv() {
            Ok(value) => {
                drop(args);
                if let Err(refusal) = settings.limit() {
                    refuse(refusal, &report)
                }
                live(body, value, &report)
            }
            Err(error) => {
                // If the parent has ended, no process would read the report.
                let obstacle = Obstacle::new(error.to_string(), error.errno());
                let _ = report.send(Report::BadArgs(obstacle));
                std::process::exit(1)
            }
        }
    }
}

impl Boot {
    /// A message that starts nothing.
    pub(crate) fn rehearsal() -> Self {
        let identity = Identity {
            name: String::new(),
            daemon: false,
            method: StartMethod::ForkServer,
            parent_pid: Pid::UNKNOWN,
            parent_name: String::new(),
            die_with_parent: true,
        };
        Boot { entry: 0, identity, settings: Applied::default(), report: None }
    }

    /// Becomes the child and runs its body, in a process made for it. Does not return.
    pub(crate) fn run(self, args: Receiver<Boot>, report: Sender<()>) -> ! {
        let Boot { entry, identity, settings, report: _ } = self;
        let joined = settings.join_group();
        // An error means that the parent is gone, or that this system lacks a feature that the parent has.
        let Ok(Room { mut settings, args, report, held }) = make_room(settings, args, report) else {
            std::process::exit(1);
        };
        if become_child(identity).is_err() {
            std::process::exit(1);
        }
        drop(held);
        let settings = joined.and_then(|()| settings.apply()).map(|()| settings);
        let base = base();
        // SAFETY: the parent computed the offset of a `fn(FreshStart) -> !` in this executable.
        let fresh = unsafe { object::function_at::<FreshStart>(base + entry) };
        fresh(FreshStart { args, report, settings })
    }
}

/// The descriptors of this child, moved away from the numbers under which it is passed others.
struct Room {
    settings: Applied,
    args: Receiver<Boot>,
    report: Sender<()>,
    /// Reserves those numbers until everything that the child needs is open.
    held: Vec<OwnedFd>,
}

fn make_room(mut settings: Applied, args: Receiver<Boot>, report: Sender<()>) -> std::io::Result<Room> {
    let Some(highest) = settings.highest_number() else {
        return Ok(Room { settings, args, report, held: Vec::new() });
    };
    // Again after each move, so that the number that became free is not used by the next open.
    let mut held = descriptor::hold_numbers_up_to(highest)?;
    settings.move_descriptors()?;
    held.extend(descriptor::hold_numbers_up_to(highest)?);
    let moved = Receiver::adopt(args.as_fd())?;
    drop(args);
    held.extend(descriptor::hold_numbers_up_to(highest)?);
    let (there, here) = control::channel::<Sender<()>>()?;
    there.send(report).map_err(std::io::Error::other)?;
    held.extend(descriptor::hold_numbers_up_to(highest)?);
    let report = here.recv().map_err(std::io::Error::other)?;
    Ok(Room { settings, args: moved, report, held })
}

/// A boot message and the channels of the child that received it.
type Received = (Boot, Receiver<Boot>, Sender<()>);

/// What a child of the fork server received before `main`.
static RECEIVED: Mutex<Option<Received>> = Mutex::new(None);

/// Receives the boot message and sets the environment, before `main` and so before any thread. Returns once the
/// arguments have arrived as well, because until then the parent may discard this child.
///
/// # Errors
/// When the parent is gone or has discarded this child.
///
/// # Safety
/// This process has one thread.
pub(crate) unsafe fn receive_boot(receiver: Receiver<Boot>, report: Sender<()>) -> std::io::Result<()> {
    let mut boot = receiver.recv().map_err(std::io::Error::other)?;
    // SAFETY: the caller's promise.
    unsafe { boot.settings.set_environment() };
    readable(&[receiver.as_fd()], Deadline::NEVER)?;
    if !has_message(receiver.as_fd()) {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    *RECEIVED.lock().unwrap_or_else(PoisonError::into_inner) = Some((boot, receiver, report));
    Ok(())
}

/// The beginning of this executable in memory. In a static program, where it is unknown, the address of a function is
/// used instead: offsets within an executable do not change.
fn base() -> usize {
    static BASE: OnceLock<usize> = OnceLock::new();
    let anchor = child_entry as *const () as usize;
    *BASE.get_or_init(|| object::base_of(anchor).unwrap_or(anchor))
}

/// The offset of `fresh` from the beginning of the executable; `None` if it is in a library.
pub(crate) fn place_of(fresh: fn(FreshStart) -> !) -> Option<usize> {
    place_of_address(fresh as usize)
}

/// The offset of a function at `address` from the beginning of the executable; `None` if it is in a library.
pub(crate) fn place_of_address(address: usize) -> Option<usize> {
    let is_ours = object::base_of(address).is_none_or(|base_of| base_of == base());
    is_ours.then(|| address.wrapping_sub(base()))
}

/// Turns a fresh copy of this program into a child. Call it first in `main`.
///
/// In a copy that a supervisor started with [`StartMethod::Spawn`](crate::StartMethod::Spawn) or `ForkServer` it runs
/// the body and exits, so no child executes the rest of `main`. Otherwise it returns immediately. Code *before* it in
/// `main` runs in every child too.
///
/// A test harness has a `main` of its own: use [`child_entry_before_main!`](crate::child_entry_before_main).
///
/// ```
/// proclab::child_entry();
/// // The program itself …
/// ```
pub fn child_entry() {
    ENTERED.store(true, Ordering::Release);
    if is_marked() {
        enter()
    }
}

/// The address, in this process, of the function at this offset from the beginning of the executable.
pub(crate) fn address_of_place(place: usize) -> usize {
    base().wrapping_add(place)
}

/// Calls [`child_entry`](crate::child_entry) before `main`, for a test harness with a `main` of its own. Invoke it
/// once in the crate, outside any function.
///
/// ```
/// proclab::child_entry_before_main!();
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! child_entry_before_main {
    () => {
        #[used]
        // The loader calls the functions in this section before `main`, when the C library has already set up the
        // program's arguments.
        #[cfg_attr(all(), unsafe(link_section = ".init_array"))]
        static PROCLAB_CHILD_ENTRY: extern "C" fn() = {
            extern "C" fn enter() {
                $crate::child_entry();
            }
            enter
        };
    };
}

/// Whether this program can start a fresh copy of itself without running its `main` twice.
pub(crate) fn has_entered() -> bool {
    ENTERED.load(Ordering::Acquire)
}

/// Whether a supervisor started this process as a fresh copy.
fn is_marked() -> bool {
    std::env::args_os().nth(1).is_some_and(|arg| arg == MARK)
}

fn enter() -> ! {
    let received = RECEIVED.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some((boot, args, report)) = received {
        if signal::reset_for_child().is_err() {
            std::process::exit(1);
        }
        boot.run(args, report)
    }
    let boot = signal::reset_for_child()
        .and_then(|()| descriptor::take_stdin())
        .and_then(|socket| Receiver::<Boot>::adopt(socket.as_fd()));
    let Ok(boot) = boot else {
        report_error("only a supervisor starts a program with this argument");
        std::process::exit(2);
    };
    match boot.recv() {
        Ok(Boot { report: Some(report), entry, identity, settings }) => {
            Boot { report: None, entry, identity, settings }.run(boot, report)
        }
        // The parent has ended.
        _ => std::process::exit(1),
    }
}

#[expect(clippy::print_stderr, reason = "a child without a parent can report in no other way")]
fn report_error(what: &str) {
    eprintln!("error: {MARK}: {what}");
}
