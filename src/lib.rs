//! A process-and-IPC runtime that you can watch, race and replay.
//!
//! # The problem
//! Two processes read the same number, both subtract one, and both write it back. Threads have tools to find such
//! races; processes have not. This library starts real processes, lets them communicate, and shows what they did.
//!
//! # A first example
//! Run a function in its own process, and get its result:
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
//! A [`Process`] describes what to run and how, a [`Supervisor`] starts and owns it, and a [`Child`] is the parent's
//! handle of it. There are three [`StartMethod`]s: executing the program again, copying this process, and copying a
//! small server process.
//!
//! # Failure
//! The end of a child that panics, is killed, or exits is always reported as a typed value: its [`Exit`], and the
//! message and location of a [`Panic`]. Starting a child is a handshake, which also reports the child's death. When the
//! supervisor ends, even if it is killed, its daemons end with it.
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
//! # Communication
//! Arguments and results can have any serde type, and can contain the ends of an `ipc-channel`, descriptors ([`Fd`]) and
//! the ends of a bounded [`queue`], which survives a SIGKILL at any instruction. Memory is shared under the locks of
//! [`sync`], files under a [`sync::file_lock`].
//!
//! # Work
//! A [`pool`] runs jobs in persistent processes, and a job that crashes does not affect others. A [`supervisor::Tree`]
//! restarts its children when they end.
//!
//! # Features
//! The program `proclab` is the features `cli` and `serve`, which are on by default. A program that needs the library
//! depends on it with `default-features = false`, and chooses from these:
//!
//! | feature | adds |
//! |---|---|
//! | `tokio` | waits in a `tokio` runtime: `join_async`, `result_async`, `recv_async`, `send_async`, `wait_any_async` |
//! | `tracing` | events of `tracing`: starts, ends, restarts, failed jobs, poisoned locks |
//! | `explore` | [`explore`]: every interleaving of processes, step by step |
//! | `observe` | [`observe`]: the states of the processes of any program |
//!
//! # Replay
//! [`explore`] runs processes one step at a time, counts every interleaving and replays any of them. [`observe`] shows,
//! for any program, which processes were running, ready, or blocked, and on what. The program `proclab` does both.

#![cfg_attr(docsrs, feature(doc_cfg))]

// The public API consists of these names and the modules below.
pub use process::{
    ArgsMissing, Child, ChildOutput, ChildStdin, Current, Exit, Given, Handle, JoinError, Lines, OutputLine,
    Panic, Parent, Process, ResultError, Run, Scratch, ScratchError, Signal, StartError, StartMethod, Stdio,
    Stream, Target, child_entry, current, parent,
};
pub use supervisor::{Left, ShutdownError, Supervisor};
pub use sys::limit::Resource;
pub use sys::pid::Pid;
pub use wait::{Readable, WaitAnyError, Waitable, Watch, Writable, wait_any, watch};
pub use wire::handle::Fd;

#[cfg(feature = "tokio")]
#[cfg_attr(docsrs, doc(cfg(feature = "tokio")))]
pub use tokio::wait_any_async;

#[macro_use]
mod events;
#[cfg(feature = "explore")]
#[macro_use]
#[doc(hidden)]
pub mod said;

#[cfg(feature = "explore")]
#[cfg_attr(docsrs, doc(cfg(feature = "explore")))]
pub mod explore;
#[cfg(feature = "observe")]
#[cfg_attr(docsrs, doc(cfg(feature = "observe")))]
pub mod observe;
pub mod pipe;
pub mod pool;
pub mod queue;
pub mod supervisor;
pub mod sync;

mod process;
#[cfg(feature = "tokio")]
mod tokio;
mod wait;

// The foundations and the program. They are public only for this package's own tests and benches, are not part of the
// API, and may change in any release.
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

/// The cookbook's examples compile.
#[cfg(doctest)]
#[doc = include_str!("../docs/cookbook.md")]
struct Cookbook;
