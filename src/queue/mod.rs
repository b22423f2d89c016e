//! A bounded queue between processes that survives SIGKILL of any user at any instruction.
//!
//! ```
//! let (sender, receiver) = proclab::queue::bounded::<String>(5)?;
//! sender.send("火锅".to_owned())?;
//! assert_eq!(receiver.recv()?, "火锅");
//! drop(sender);
//! assert!(receiver.recv().is_err()); // nobody can send any more
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The promise
//! Whoever is killed with SIGKILL, at whatever instruction:
//! - no other process blocks for longer than it takes the kernel to say so;
//! - no accepted message is lost or seen twice, except the one that the killed receiver had already
//!   taken; with a [`Lease`] not even that one;
//! - no torn message is ever seen;
//! - what was lost is told with the PID ([`Receiver::take_losses`]);
//! - no name, file or descriptor is left behind.
//!
//! # How it is kept
//! Two locks, one for each end, which the kernel takes from whoever dies (`sync::robust_mutex`). Under
//! each, everything is prepared where nobody looks, and one atomic store makes it true: to TAIL for a
//! message that is sent (`sending`), to HEAD for one that is taken (`receiving`). Sleepers are woken before
//! that store, not after (`bell`). Who lives is told by a socket that the kernel hangs up (`channel`).
//!
//! Read `layout` and `place` for what lies where; `sending`, `receiving` and `bell`, which are the proof;
//! `channel` for who lives; `sender`, `group`, `receiver`, `taking` and `wait` for what a caller sees; `members`, `leases` and
//! `lease` for what becomes of messages whose receiver dies.

/// Errors, one type an operation.
pub mod error;

/// How sleepers are woken.
mod bell;
/// What all ends share, and how the death of an end is known.
mod channel;
/// Many values sent in one go.
mod group;
/// Handles on their way to another process.
mod handle;
/// A receiver as an iterator.
mod iter;
/// Where everything lies in the memory.
mod layout;
/// A message that is not lost with its holder.
mod lease;
/// The table of leased messages.
mod leases;
/// Who took which message last.
mod members;
/// One handle's place among them.
mod membership;
/// Where the bytes of a message are.
mod place;
/// Which process it was, and whether it lives.
mod process_id;
/// The end that receives.
mod receiver;
/// What the holder of the receive lock does.
mod receiving;
/// A buffer a thread.
mod scratch;
/// The end that sends.
mod sender;
/// What the holder of the send lock does.
mod sending;
/// How a receiver comes by a message.
mod taking;
/// How long to look before sleeping, and what to sleep on.
mod wait;

pub use iter::{IntoIter, Iter, TryIter};
pub use layout::{DEFAULT_MESSAGE_LIMIT, MAX_CAPACITY, MAX_LEASES, MAX_MEMBERS, MAX_MESSAGE_LIMIT};
pub use lease::Lease;
pub use members::Loss;
pub use receiver::Receiver;
pub use sender::Sender;

use crate::sync::robust_mutex::LockError;
use std::io;
use std::sync::Arc;

/// A queue for `capacity` messages of up to [`DEFAULT_MESSAGE_LIMIT`] bytes each, first in, first out.
///
/// Memory is used for what is in it, not for what could be.
///
/// # Errors
/// [`error::CreateError`].
pub fn bounded<T>(capacity: usize) -> Result<(Sender<T>, Receiver<T>), error::CreateError> {
    bounded_with_limit(capacity, DEFAULT_MESSAGE_LIMIT)
}

/// The same with another limit of a message's size, in bytes as encoded.
///
/// # Errors
/// [`error::CreateError`].
pub fn bounded_with_limit<T>(
    capacity: usize,
    message_limit: u64,
) -> Result<(Sender<T>, Receiver<T>), error::CreateError> {
    let (senders, receivers) = channel::Side::pair(channel::Channel::create(capacity, message_limit)?)?;
    Ok((Sender::new(Arc::new(senders)), Receiver::new(Arc::new(receivers))))
}

fn lock_to_io(error: LockError) -> io::Error {
    match error {
        LockError::Unwatched(error) => error,
        LockError::TimedOut => io::ErrorKind::TimedOut.into(),
    }
}

#[cfg(test)]
mod tests;
