//! A bounded queue between processes that survives SIGKILL of any of them at any instruction.
//!
//! ```
//! let (sender, receiver) = proclab::queue::bounded::<String>(5)?;
//! sender.send("火锅".to_owned())?;
//! assert_eq!(receiver.recv()?, "火锅");
//! drop(sender);
//! assert!(receiver.recv().is_err()); // no process can send
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Guarantees
//! If a process is killed with SIGKILL, at any instruction:
//! - no other process blocks for longer than the kernel takes to report the death;
//! - no accepted message is lost or delivered twice, except for a message that the killed receiver had already
//!   taken, and with a [`Lease`] not even that one;
//! - no process sees a partially written message;
//! - what was lost is reported with the PID ([`Receiver::take_losses`]);
//! - no name, file or descriptor is left behind.
//!
//! # Handles in messages
//! Messages may contain any number of locks and other primitives, ends of queues and pipes, and descriptors
//! ([`Fd`](crate::Fd)), so a request can carry the queue for its answer. The kernel stores them with the queue: they
//! outlive their sender, and return with a lease.
//!
//! # Implementation
//! There are two locks, one per end, which the kernel releases when their holder dies (`sync::robust_mutex`).
//! Under each, everything is prepared where no other process reads, and one atomic store publishes it: to TAIL
//! for a message that is sent (`sending`), to HEAD for one that is taken (`receiving`). Sleepers are woken before
//! that store, not after (`wake_event`). Which ends are alive is known from a socket that the kernel hangs up (`line`).
//! A queue whose ends have not left their process has one descriptor, its memory; it opens the others when it is shared
//! (`side`), and its threads sleep on a condition variable of the process until then (`bell`).
//!
//! Read the files in this order: first the memory (`layout`, `memory`, `place`, `leases`, `members`), then the
//! operations on it (`channel`, `sending`, `receiving`, `leasing`, `line`, `end`, `side`), then the two ends.

/// Errors, one type per operation.
pub mod error;

/// The layout of the memory.
mod layout;
/// The memory, as words, and the orderings of accesses to them.
mod memory;
/// Handles in messages.
mod parcels;
/// Where the bytes of a message are.
mod place;
/// What happens to a message whose lease ends without success.
mod policy;

/// What one side has in one process.
mod end;
/// What receivers have in common beside the line.
mod inbox;
/// The shared queues that this process has.
mod known;
/// The table of leased messages and dead letters.
mod leases;
/// One end of the line between the two sides.
mod line;
/// The table of receiving handles.
mod members;
/// Numbers that are unique.
mod nonce;
/// The identity of a process, and whether it is alive.
mod process_id;

/// How threads sleep while one process has the queue to itself.
mod bell;
/// What all handles in one process share.
mod channel;
/// Operations on leases that require the receive lock.
mod leasing;
/// Operations that require the receive lock.
mod receiving;
/// Operations that require the send lock.
mod sending;
/// One side of a queue, and whether the other is alive.
mod side;
/// How sleepers are woken.
mod wake_event;

/// Messages that are no longer delivered.
mod dead_letter;
/// Why nothing was sent or received.
mod fault;
/// Sending many values.
mod group;
/// Sending handles to another process.
mod handle;
/// Iterators over a receiver.
mod iter;
/// The sleep of a receiver whose senders are gone.
mod last_sleep;
/// Messages that are not lost when their holder dies.
mod lease;
/// One handle's entry in the table of receiving handles.
mod membership;
/// The options of a new queue.
mod options;
/// The receiving end.
mod receiver;
/// The sending end.
mod sender;
/// How a receiver gets a message.
mod taking;
/// How long to spin before sleeping, and what to sleep on.
mod wait;
/// Waiting for the ends together with other objects.
mod waitable;

pub use dead_letter::DeadLetter;
pub use iter::{IntoIter, Iter, TryIter};
pub use layout::{DEFAULT_MESSAGE_LIMIT, MAX_CAPACITY, MAX_LEASES, MAX_MEMBERS, MAX_MESSAGE_LIMIT};
pub use lease::Lease;
pub use members::Loss;
pub use options::Options;
pub use policy::ReturnTo;
pub use receiver::Receiver;
pub use sender::Sender;

/// Creates a first-in, first-out queue for `capacity` messages of up to [`DEFAULT_MESSAGE_LIMIT`] bytes each.
///
/// It uses memory for the messages that it holds, not for those that it could hold.
///
/// ```
/// let (sender, receiver) = proclab::queue::bounded(5)?;
/// sender.send(("soup".to_owned(), 2))?;
/// assert_eq!(receiver.recv()?, ("soup".to_owned(), 2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`error::CreateError`].
pub fn bounded<T>(capacity: usize) -> Result<(Sender<T>, Receiver<T>), error::CreateError> {
    Options::new(capacity).create()
}

/// Like [`bounded`], with another message size limit, in encoded bytes.
///
/// ```
/// let (sender, _receiver) = proclab::queue::bounded_with_limit(5, 10)?;
/// assert!(sender.send("more than ten bytes".to_owned()).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`error::CreateError`].
pub fn bounded_with_limit<T>(
    capacity: usize,
    message_limit: u64,
) -> Result<(Sender<T>, Receiver<T>), error::CreateError> {
    Options::new(capacity).message_limit(message_limit).create()
}

#[cfg(test)]
mod handles_tests;
#[cfg(test)]
mod orders;
#[cfg(test)]
mod tests;
