//! Iterators over a receiver.

use super::error::Unreadable;
use super::fault::RecvFault;
use super::receiver::Receiver;
use super::wait::WaitLimit;
use crate::sys::poll::Deadline;
use serde::de::DeserializeOwned;
use std::iter::FusedIterator;

/// Returns the next message or error. Sets `finished` on an error after which no other message can be received.
fn next<T: DeserializeOwned>(
    receiver: &Receiver<T>,
    wait: WaitLimit,
    finished: &mut bool,
) -> Option<Result<T, Unreadable>> {
    if *finished {
        return None;
    }
    let mut value = None;
    match receiver.receive(wait, &mut value) {
        Ok(()) => value.map(Ok),
        Err(RecvFault::Unreadable(why)) => {
            *finished = !matches!(why, Unreadable::Undecodable(_));
            Some(Err(why))
        }
        Err(RecvFault::Disconnected | RecvFault::Nothing) => None,
    }
}

/// A blocking iterator over messages, created by [`Receiver::iter`].
#[derive(Debug)]
pub struct Iter<'a, T> {
    receiver: &'a Receiver<T>,
    finished: bool,
}

impl<T: DeserializeOwned> Iterator for Iter<'_, T> {
    type Item = Result<T, Unreadable>;

    fn next(&mut self) -> Option<Self::Item> {
        next(self.receiver, WaitLimit::Until(Deadline::NEVER), &mut self.finished)
    }
}

impl<T: DeserializeOwned> FusedIterator for Iter<'_, T> {}

/// A non-blocking iterator over messages, created by [`Receiver::try_iter`].
#[derive(Debug)]
pub struct TryIter<'a, T> {
    receiver: &'a Receiver<T>,
    finished: bool,
}

impl<T: DeserializeOwned> Iterator for TryIter<'_, T> {
    type Item = Result<T, Unreadable>;

    fn next(&mut self) -> Option<Self::Item> {
        next(self.receiver, WaitLimit::Try, &mut self.finished)
    }
}

/// A blocking iterator over messages that owns the receiver.
#[derive(Debug)]
pub struct IntoIter<T> {
    receiver: Receiver<T>,
    finished: bool,
}

impl<T: DeserializeOwned> Iterator for IntoIter<T> {
    type Item = Result<T, Unreadable>;

    fn next(&mut self) -> Option<Self::Item> {
        next(&self.receiver, WaitLimit::Until(Deadline::NEVER), &mut self.finished)
    }
}

impl<T: DeserializeOwned> FusedIterator for IntoIter<T> {}

impl<T: DeserializeOwned> IntoIterator for Receiver<T> {
    type Item = Result<T, Unreadable>;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        IntoIter { receiver: self, finished: false }
    }
}

impl<'a, T: DeserializeOwned> IntoIterator for &'a Receiver<T> {
    type Item = Result<T, Unreadable>;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<T: DeserializeOwned> Receiver<T> {
    /// Returns an iterator that receives messages until no process can send any more.
    ///
    /// A message that cannot be decoded yields an `Err` with its bytes, and the iterator continues after it.
    /// Any other error is the last item.
    ///
    /// ```
    /// let (sender, receiver) = proclab::queue::bounded(3)?;
    /// sender.send_many([1, 2, 3])?;
    /// drop(sender);
    /// assert_eq!(receiver.iter().collect::<Result<Vec<u32>, _>>()?, [1, 2, 3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { receiver: self, finished: false }
    }

    /// Returns an iterator that receives messages until the queue is empty. Errors are as in [`Self::iter`].
    ///
    /// ```
    /// let (sender, receiver) = proclab::queue::bounded(3)?;
    /// sender.send_many([1, 2])?;
    /// assert_eq!(receiver.try_iter().collect::<Result<Vec<u32>, _>>()?, [1, 2]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_iter(&self) -> TryIter<'_, T> {
        TryIter { receiver: self, finished: false }
    }
}
