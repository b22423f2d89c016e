//! A process-and-IPC runtime that you can watch, race and replay.
//!
//! # The problem
//! Two processes read the same number, both take one away, both write it back. Threads have tools
//! against that; processes had luck. This library starts real processes, lets them talk, and shows what
//! they did.
//!
//! # First success
//! A function runs in a process of its own, and its result comes back:
//!
//! ```no_run
//! use proclab::{Process, Supervisor};
//!
//! fn add(a: u64, b: u64) -> u64 {
//!     a + b
//! }
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     proclab::child_entry(); // a fresh copy of this program becomes a child here
//!     let supervisor = Supervisor::new()?;
//!     let child = supervisor.start(Process::new(add).args((2, 3)))?;
//!     assert_eq!(child.result()?, 5);
//!     Ok(())
//! }
//! ```
//!
//! [`Process`] says what is to run and how, a [`Supervisor`] starts it and owns it, a [`Child`] is what
//! its parent holds. There are three [`StartMethod`]s: a fresh copy of the executable, a copy of the
//! memory, and a copy of a small server's memory.
//!
//! # Failure
//! A child that panics, is killed, or exits by itself leaves a typed end, never a lost one: its
//! [`Exit`], and the [`Panic`]'s message and place. A start is a handshake in which the child's death is
//! one of the answers. When the supervisor goes, its daemons go with it, even if it is killed.
//!
//! ```no_run
//! use proclab::{Exit, Process, Signal, Supervisor};
//! use std::{thread, time::Duration};
//!
//! # proclab::child_entry();
//! let supervisor = Supervisor::new()?;
//! let sleeper = Process::new(|| thread::sleep(Duration::from_secs(60))).daemon(true);
//! let child = supervisor.start(sleeper)?;
//! child.terminate()?; // only asks
//! assert_eq!(child.join()?, Exit::Signal { signal: Signal::TERM, core_dumped: false });
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Talking
//! Arguments and results are any serde types, and may hold the ends of an `ipc-channel`, descriptors
//! ([`Fd`]) and the ends of a bounded [`queue`], which loses nothing to a SIGKILL at any
//! instruction. Memory is shared under the locks of [`sync`], files under a [`sync::file_lock`].
//!
//! # Work
//! A [`pool`] runs jobs in processes that persist, and a job that crashes costs no other. A [`supervisor::Tree`] starts
//! its children again when they end.
//!
//! # Replay
//! [`explore`] runs processes one granted step at a time, counts every interleaving and replays any of
//! them; [`observe`] shows of any program which processes ran, were ready, and were blocked, and on what.
//! The program `proclab` shows both.

// The public API: these names, and the modules below.
pub use process::{
    ArgsMissing, Child, ChildOutput, ChildStdin, Current, Exit, Given, Handle, JoinError, Lines, OutputLine,
    Panic, Parent, Process, ResultError, Run, Scratch, ScratchError, Signal, StartError, StartMethod, Stdio,
    Stream, Target, child_entry, current, parent,
};
pub use supervisor::{Left, ShutdownError, Supervisor};
pub use sys::limit::Resource;
pub use sys::pid::Pid;
pub use wait::{Readable, WaitAnyError, Waitable, Writable, wait_any};
pub use wire::handle::Fd;

pub mod explore;
pub mod observe;
pub mod pipe;
pub mod pool;
pub mod queue;
pub mod supervisor;
pub mod sync;

mod process;
mod wait;

// What these stand on, and the program. Public for this package's own tests and benches: no part of the API, and
// any release may change it.
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod lab;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod net;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod report;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod scenario;
#[cfg(feature = "serve")]
#[doc(hidden)]
pub mod serve;
#[doc(hidden)]
pub mod shm;
#[doc(hidden)]
pub mod sys;
#[doc(hidden)]
pub mod wire;

/// The README's examples compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
