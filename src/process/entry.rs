//! The entry of a fresh copy of the executable: from `main` to the body that its parent chose.
//!
//! The parent runs its own executable again, with a mark in the arguments and the receiving socket of
//! a channel as standard input. The first message on it says which function to run, by its distance
//! from where the executable's code begins. `/proc/self/exe` is the very file that the parent runs,
//! even when another has been built in its place, so the distance is the same in both.
//!
//! # Safety
//! An address becomes a function. It comes from a parent that computed it from such a function of the
//! same executable, over a socket that no other process holds.
#![expect(unsafe_code, reason = "a function is called by its place in the executable")]

use super::current::{Identity, become_child};
use super::live::{Obstacle, Report, live};
use crate::sys::{descriptor, object, signal, task};
use crate::wire::control::{Message, Receiver, Sender};
use serde::{Deserialize, Serialize};
use std::os::fd::AsFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// The first argument of a fresh copy; its name is the second.
pub(crate) const MARK: &str = "--proclab-child";

static ENTERED: AtomicBool = AtomicBool::new(false);

/// The first message to a fresh child.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Boot {
    /// Where [`super::target::Entry::fresh`] lies, counted from where the executable begins.
    pub(crate) entry: usize,
    pub(crate) identity: Identity,
    /// Where it reports; the type of the reports is known to the entry.
    pub(crate) report: Sender<()>,
}

/// A fresh child that knows who it is and can receive its arguments.
#[derive(Debug)]
pub(crate) struct FreshStart {
    args: Receiver<Boot>,
    report: Sender<()>,
}

impl FreshStart {
    /// Receives the arguments, runs `body` on them and ends the process.
    pub(crate) fn run<A: Message, T: Message>(self, body: fn(A) -> T) -> ! {
        let args: Receiver<A> = self.args.cast();
        let report: Sender<Report<T>> = self.report.cast();
        match args.recv() {
            Ok(value) => {
                drop(args);
                live(body, value, &report)
            }
            Err(error) => {
                // If the parent is gone, there is no process to report to.
                let obstacle = Obstacle::new(error.to_string(), error.errno());
                let _ = report.send(Report::BadArgs(obstacle));
                std::process::exit(1)
            }
        }
    }
}

impl Boot {
    /// Becomes the child and runs its body, in a process made for it. Does not return.
    pub(crate) fn run(self, args: Receiver<Boot>) -> ! {
        // An error here means that the parent is gone, or that this system lacks what the parent has.
        if task::lead_group().and_then(|()| become_child(self.identity)).is_err() {
            std::process::exit(1);
        }
        let base = base();
        // SAFETY: the parent took the distance of a `fn(FreshStart) -> !` in this executable.
        let fresh = unsafe { object::function_at::<FreshStart>(base + self.entry) };
        fresh(FreshStart { args, report: self.report })
    }
}

/// Where this executable begins in memory. In a static program, where that cannot be asked, one function
/// stands for it: nothing moves within an executable.
fn base() -> usize {
    static BASE: OnceLock<usize> = OnceLock::new();
    let anchor = child_entry as *const () as usize;
    *BASE.get_or_init(|| object::base_of(anchor).unwrap_or(anchor))
}

/// How far `fresh` lies behind where the executable begins; `None` if it is in a library.
pub(crate) fn place_of(fresh: fn(FreshStart) -> !) -> Option<usize> {
    let address = fresh as usize;
    let is_ours = object::base_of(address).is_none_or(|base_of| base_of == base());
    is_ours.then(|| address.wrapping_sub(base()))
}

/// Makes a fresh copy of this program a child: call it first in `main`.
///
/// In a program that was started in any other way it returns at once. In a copy that a supervisor started with
/// [`StartMethod::Spawn`](crate::StartMethod::Spawn) or `ForkServer` it runs the body and ends the
/// process, so that no child executes the rest of `main`. Whatever stands *before* it in `main` is executed in
/// every child too.
///
/// A test harness has a `main` of its own: use [`child_entry_before_main!`](crate::child_entry_before_main).
pub fn child_entry() {
    ENTERED.store(true, Ordering::Release);
    if is_marked() {
        enter()
    }
}

/// Calls [`child_entry`](crate::child_entry) before `main`, for a test harness whose `main` is not
/// yours: once in the crate, outside of any function.
///
/// ```
/// proclab::child_entry_before_main!();
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! child_entry_before_main {
    () => {
        #[used]
        // The loader calls what stands in this section before `main`, and the C library has put the
        // program's arguments in place by then.
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

/// Whether a supervisor made this process as a fresh copy.
fn is_marked() -> bool {
    std::env::args_os().nth(1).is_some_and(|arg| arg == MARK)
}

fn enter() -> ! {
    let boot = signal::reset_for_child()
        .and_then(|()| descriptor::take_stdin())
        .and_then(|socket| Receiver::<Boot>::adopt(socket.as_fd()));
    let Ok(boot) = boot else {
        report_error("only a supervisor starts a program with this argument");
        std::process::exit(2);
    };
    match boot.recv() {
        Ok(message) => message.run(boot),
        // The parent is gone.
        Err(_) => std::process::exit(1),
    }
}

#[expect(clippy::print_stderr, reason = "a child without a parent can report in no other way")]
fn report_error(what: &str) {
    eprintln!("error: {MARK}: {what}");
}
