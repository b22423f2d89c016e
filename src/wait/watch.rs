//! A descriptor that stands for a wait: for event loops of the program's own.

use super::{WaitAnyError, Waitable, ask};
use crate::sys::epoll::ReadySet;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

/// A descriptor that is readable once one of several things may be ready: what [`watch`] returns.
///
/// It serves for one wait. Then check the sources with `try_` operations, and call [`watch`] again.
#[derive(Debug)]
pub struct Watch {
    set: ReadySet,
    look_again: Option<Duration>,
    /// Open as long as the set has them.
    _held: Vec<Arc<OwnedFd>>,
}

impl Watch {
    /// The interval after which to check again even if the descriptor is not readable, because a source has no
    /// descriptor; `None` if all have one.
    pub fn look_again_after(&self) -> Option<Duration> {
        self.look_again
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.set.as_fd()
    }
}

/// The wait of [`wait_any`](super::wait_any) as a descriptor, for `poll(2)`, `epoll(7)` and event loops that stand on
/// it; `None` if one of `sources` is known to be ready now.
///
/// It takes nothing, so a task that waits for the descriptor can be dropped at any time and loses nothing. In
/// `tokio`, a receiver without a thread of its own:
///
/// ```text
/// async fn recv<T: DeserializeOwned>(receiver: &Receiver<T>) -> Result<T, TryRecvError> {
///     loop {
///         match receiver.try_recv() {
///             Err(TryRecvError::Empty) => {}
///             result => return result,
///         }
///         if let Some(watch) = watch(&[receiver]).map_err(io::Error::other)? {
///             AsyncFd::with_interest(watch.as_fd(), Interest::READABLE)?.readable().await?.clear_ready();
///         }
///     }
/// }
/// ```
///
/// # Errors
/// [`WaitAnyError`].
pub fn watch<W: Waitable>(sources: &[W]) -> Result<Option<Watch>, WaitAnyError> {
    let (ready, wakers) = ask(sources, 0)?;
    if !ready.is_empty() {
        return Ok(None);
    }
    let set = ReadySet::new()?;
    for (token, (fd, interest)) in wakers.descriptors().enumerate() {
        set.add_number(fd, interest, token as u64)?;
    }
    let (look_again, held) = wakers.into_rest();
    Ok(Some(Watch { set, look_again, _held: held }))
}
