//! Waiting in a `tokio` runtime instead of blocking a thread.
//!
//! Every wait here is that of [`watch`], a descriptor that the runtime polls, so it costs no thread. Nothing is taken
//! while it is awaited: what is awaited is taken by a `try_` operation that does not wait. So each future is cancel-safe:
//! dropped before it is ready, it has taken nothing.
//!
//! # Safety
//! The runtime polls a descriptor that the value which it is given owns, and that stays the same until it is dropped.
#![expect(unsafe_code, reason = "a descriptor is registered with the runtime by its number")]

use crate::pipe::{Pipe, PipeRecvError, PipeSendError, PipeSendFault};
use crate::process::{Child, Exit, Handle, JoinError, ResultError};
use crate::queue::error::{RecvError, Rejection, SendError, TryRecvError, TrySendError};
use crate::queue::{Lease, Receiver, Sender};
use crate::wait::{WaitAnyError, Waitable, Watch, Writable, wait_any, watch};
use crate::wire::codec::Message;
use ::tokio::io::{Interest, unix::AsyncFd};
use serde::de::DeserializeOwned;
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::time::Duration;

/// The longest interval at which something without a descriptor is looked at.
const LONGEST: Duration = Duration::from_millis(2);

struct Watched(Watch);

impl AsRawFd for Watched {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

/// As [`wait_any`], in a `tokio` runtime: waits, without blocking a thread, until at least one of `sources` is ready.
///
/// A runtime without I/O and time enabled panics here, as `tokio`'s own types do.
///
/// # Errors
/// As [`wait_any`].
pub async fn wait_any_async<W: Waitable>(sources: &[W]) -> Result<Vec<usize>, WaitAnyError> {
    let mut round = 0;
    loop {
        let ready = wait_any(sources, Some(Duration::ZERO))?;
        if !ready.is_empty() || sources.is_empty() {
            return Ok(ready);
        }
        pause(sources, round).await?;
        round += 1;
    }
}

/// Sleeps until one of `sources` may be ready.
async fn pause<W: Waitable>(sources: &[W], round: u32) -> Result<(), WaitAnyError> {
    let Some(watch) = watch(sources)? else { return Ok(()) };
    let interval =
        watch.look_again_after().map(|first| (first * 2_u32.saturating_pow(round.min(16))).min(LONGEST));
    // SAFETY: the watch owns its descriptor, which stays open until `readiness` is dropped, and has no other.
    let readiness = unsafe { AsyncFd::register_with_interest(Watched(watch), Interest::READABLE) }
        .map_err(|error| error.into_parts().1)?;
    match interval {
        // It is time to look again, whether or not the descriptor is ready.
        Some(interval) => {
            if let Ok(ready) = ::tokio::time::timeout(interval, readiness.readable()).await {
                drop(ready?);
            }
        }
        None => drop(readiness.readable().await?),
    }
    Ok(())
}

impl Handle {
    /// As [`join`](Handle::join), in a `tokio` runtime.
    ///
    /// # Errors
    /// As [`join`](Handle::join).
    pub async fn join_async(&self) -> Result<Exit, JoinError> {
        loop {
            if let Some(exit) = self.join_timeout(Duration::ZERO)? {
                return Ok(exit);
            }
            wait_any_async(&[self]).await?;
        }
    }
}

impl<T: Message + Send + 'static> Child<T> {
    /// As [`result`](Child::result), in a `tokio` runtime.
    ///
    /// # Errors
    /// As [`result`](Child::result).
    pub async fn result_async(&self) -> Result<T, ResultError> {
        let name = || self.name().to_owned();
        self.join_async().await.map_err(|source| ResultError::Join { name: name(), source })?;
        self.result()
    }
}

impl From<WaitAnyError> for io::Error {
    fn from(error: WaitAnyError) -> Self {
        match error {
            WaitAnyError::Os(error) => error,
            other => io::Error::other(other),
        }
    }
}

impl<T: DeserializeOwned> Receiver<T> {
    /// As [`recv`](Receiver::recv), in a `tokio` runtime. Dropped before it is ready, it has received nothing.
    ///
    /// # Errors
    /// As [`recv`](Receiver::recv).
    pub async fn recv_async(&self) -> Result<T, RecvError> {
        self.attempt(|| self.try_recv()).await
    }

    /// As [`lease`](Receiver::lease), in a `tokio` runtime. Dropped before it is ready, it has leased nothing.
    ///
    /// # Errors
    /// As [`lease`](Receiver::lease).
    pub async fn lease_async(&self) -> Result<Lease<T>, RecvError> {
        self.attempt(|| self.try_lease()).await
    }

    async fn attempt<R>(&self, mut attempt: impl FnMut() -> Result<R, TryRecvError>) -> Result<R, RecvError> {
        let mut round = 0;
        loop {
            match attempt() {
                Ok(received) => return Ok(received),
                Err(TryRecvError::Disconnected) => return Err(RecvError::Disconnected),
                Err(TryRecvError::Unreadable(why)) => return Err(why.into()),
                Err(TryRecvError::Empty) => {}
            }
            let paused = pause(&[self], round).await.map_err(io::Error::from);
            paused.map_err(|error| RecvError::Unreadable(error.into()))?;
            round += 1;
        }
    }
}

impl<T: Message> Sender<T> {
    /// As [`send`](Sender::send), in a `tokio` runtime. Dropped before it is ready, it has not sent the value, which is
    /// dropped with it.
    ///
    /// # Errors
    /// As [`send`](Sender::send), with the value.
    pub async fn send_async(&self, mut value: T) -> Result<(), SendError<T>> {
        let mut round = 0;
        loop {
            value = match self.try_send(value) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Disconnected(value)) => return Err(SendError::Disconnected(value)),
                Err(TrySendError::Rejected(value, why)) => return Err(SendError::Rejected(value, why)),
                Err(TrySendError::Full(value)) => value,
            };
            if let Err(error) = pause(&[self], round).await {
                return Err(SendError::Rejected(value, Rejection::Lock(error.into())));
            }
            round += 1;
        }
    }
}

impl<S, R: DeserializeOwned> Pipe<S, R> {
    /// As [`recv`](Pipe::recv), in a `tokio` runtime. Dropped before it is ready, it has received nothing.
    ///
    /// # Errors
    /// As [`recv`](Pipe::recv).
    pub async fn recv_async(&self) -> Result<R, PipeRecvError> {
        loop {
            match self.try_recv() {
                Err(PipeRecvError::TimedOut) => pause(&[self], 0).await.map_err(io::Error::from)?,
                result => return result,
            }
        }
    }
}

impl<S: Message, R> Pipe<S, R> {
    /// As [`send`](Pipe::send), in a `tokio` runtime. Dropped before it is ready, it has not sent the value, which is
    /// dropped with it.
    ///
    /// # Errors
    /// As [`send`](Pipe::send), with the value.
    pub async fn send_async(&self, mut value: S) -> Result<(), PipeSendError<S>> {
        loop {
            value = match self.try_send(value) {
                Err(PipeSendError { value, why: PipeSendFault::TimedOut }) => value,
                result => return result,
            };
            if let Err(error) = pause(&[Writable(self)], 0).await {
                return Err(PipeSendError { value, why: PipeSendFault::Os(error.into()) });
            }
        }
    }
}

#[cfg(test)]
mod tests;
