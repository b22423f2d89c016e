//! A receiver as an iterator.

use super::error::Unreadable;
use super::fault::RecvFault;
use super::receiver::Receiver;
use super::wait::Patience;
use crate::sys::poll::Deadline;
use serde::de::DeserializeOwned;
use std::iter::FusedIterator;

/// The next message or error; `over` is set by an error after which no other message can be received.
fn next<T: DeserializeOwned>(
    receiver: &Receiver<T>,
    patience: Patience,
    over: &mut bool,
) -> Option<Result<T, Unreadable>> {
    if *over {
        return None;
    }
    let mut value = None;
    match receiver.receive(patience, &mut value) {
        Ok(()) => value.map(Ok),
        Err(RecvFault::Unreadable(why)) => {
            *over = !matches!(why, Unreadable::Undecodable(_));
            Some(Err(why))
        }
        Err(RecvFault::Disconnected | RecvFault::Nothing) => None,
    }
}

/// Messages until no process can send any more: [`Receiver::iter`].
#[derive(Debug)]
pub struct Iter<'a, T> {
    receiver: &'a Receiver<T>,
    over: bool,
}

impl<T: DeserializeOwned> Iterator for Iter<'_, T> {
    type Item = Result<T, Unreadable>;

    fn next(&mut self) -> Option<Self::Item> {
        next(self.receiver, Patience::Until(Deadline::NEVER), &mut self.over)
    }
}

impl<T: DeserializeOwned> FusedIterator for Iter<'_, T> {}

/// Messages that are there now: [`Receiver::try_iter`].
#[derive(Debug)]
pub struct TryIter<'a, T> {
    receiver: &'a Receiver<T>,
    over: bool,
}

impl<T: DeserializeOwned> Iterator for TryIter<'_, T> {
    type Item = Result<T, Unreadable>;

    fn next(&mut self) -> Option<Self::Item> {
        next(self.receiver, Patience::Try, &mut self.over)
    }
}

/// Messages until no process can send any more; it owns the receiver.
#[derive(Debug)]
pub struct IntoIter<T> {
    receiver: Receiver<T>,
    over: bool,
}

impl<T: DeserializeOwned> Iterator for IntoIter<T> {
    type Item = Result<T, Unreadable>;

    fn next(&mut self) -> Option<Self::Item> {
        next(&self.receiver, Patience::Until(Deadline::NEVER), &mut self.over)
    }
}

impl<T: DeserializeOwned> FusedIterator for IntoIter<T> {}

impl<T: DeserializeOwned> IntoIterator for Receiver<T> {
    type Item = Result<T, Unreadable>;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        IntoIter { receiver: self, over: false }
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
    /// Receives messages until no process can send any more.
    ///
    /// A message that cannot be decoded is an `Err` in its place, with its bytes, and the iterator goes on
    /// behind it. Any other error is the last item.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { receiver: self, over: false }
    }

    /// Receives the messages that are there now, with the same errors.
    pub fn try_iter(&self) -> TryIter<'_, T> {
        TryIter { receiver: self, over: false }
    }
}
