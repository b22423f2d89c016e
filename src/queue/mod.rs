//! A bounded queue between processes that survives SIGKILL of any user at any instruction.
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
//! # The promise
//! If a process is killed with SIGKILL, at any instruction:
//! - no other process blocks for longer than the kernel takes to report the death;
//! - no accepted message is lost or delivered twice, except the one that the killed receiver had already taken;
//!   with a [`Lease`] not even that one;
//! - no torn message is ever seen;
//! - what was lost is reported with the PID ([`Receiver::take_losses`]);
//! - no name, file or descriptor is left behind.
//!
//! # Handles in messages
//! Messages may hold locks and other primitives, ends of queues and pipes, and descriptors ([`Fd`](crate::Fd)), any
//! number of them, so a request can bring the queue for its answer. The kernel keeps them with the queue: they outlive
//! their sender, and come back with a lease.
//!
//! # How it is kept
//! There are two locks, one for each end, which the kernel takes from a holder that dies
//! (`sync::robust_mutex`). Under each, everything is prepared where no other process looks, and one atomic
//! store publishes it: to TAIL for a message that is sent (`sending`), to HEAD for one that is taken
//! (`receiving`). Sleepers are woken before that store, not after (`bell`). Which ends are alive is known from
//! a socket that the kernel hangs up (`side`).
//!
//! The files read in this order: first the memory (`layout`, `memory`, `place`, `leases`, `members`), then who
//! may do what with it (`channel`, `sending`, `receiving`, `leasing`, `side`), then the two ends.

/// Errors, one type per operation.
pub mod error;

/// Where everything lies in the memory.
mod layout;
/// The memory, as words, and the orders of their accesses.
mod memory;
/// Handles inside of messages.
mod parcels;
/// Where the bytes of a message are.
mod place;
/// What becomes of a message whose lease ends without success.
mod policy;

/// The table of leased messages and dead letters.
mod leases;
/// The table of receiving handles.
mod members;
/// Which process it was, and whether it is alive.
mod process_id;

/// How sleepers are woken.
mod bell;
/// What all ends in one process share.
mod channel;
/// What the holder of the receive lock may do with leases.
mod leasing;
/// What the holder of the receive lock may do.
mod receiving;
/// What the holder of the send lock may do.
mod sending;
/// One side of a queue, and whether the other is alive.
mod side;

/// Messages that are not delivered any more.
mod dead_letter;
/// Why nothing was sent or received.
mod fault;
/// Sending many values.
mod group;
/// Handles on their way to another process.
mod handle;
/// A receiver as an iterator.
mod iter;
/// A message that is not lost with its holder.
mod lease;
/// One handle's place among the receiving handles.
mod membership;
/// How a queue is made.
mod options;
/// The receiving end.
mod receiver;
/// The sending end.
mod sender;
/// How a receiver gets a message.
mod taking;
/// How long to spin before sleeping, and what to sleep on.
mod wait;
/// The ends beside other things that are waited for.
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

/// Creates a queue for `capacity` messages of up to [`DEFAULT_MESSAGE_LIMIT`] bytes each, first in, first out.
///
/// It takes memory for what is in it, not for what could be.
///
/// # Errors
/// [`error::CreateError`].
pub fn bounded<T>(capacity: usize) -> Result<(Sender<T>, Receiver<T>), error::CreateError> {
    Options::new(capacity).create()
}

/// The same with another limit of a message's size, in bytes as encoded.
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
mod orders;
#[cfg(test)]
mod tests;
