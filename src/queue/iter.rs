//! A receiver as an iterator.

use super::receiver::Receiver;
use super::wait::Patience;
use crate::sys::poll::Deadline;
use serde::de::DeserializeOwned;
use std::iter::FusedIterator;

fn next<T: DeserializeOwned>(receiver: &Receiver<T>, patience: Patience) -> Option<T> {
    let mut value = None;
    receiver.receive(patience, &mut value).ok()?;
    value
}

/// [`Receiver::iter`].
#[derive(Debug)]
pub struct Iter<'a, T>(pub(super) &'a Receiver<T>);

impl<T: DeserializeOwned> Iterator for Iter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        next(self.0, Patience::Until(Deadline::NEVER))
    }
}

impl<T: DeserializeOwned> FusedIterator for Iter<'_, T> {}

/// [`Receiver::try_iter`].
#[derive(Debug)]
pub struct TryIter<'a, T>(pub(super) &'a Receiver<T>);

impl<T: DeserializeOwned> Iterator for TryIter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        next(self.0, Patience::Try)
    }
}

/// What comes until no process can send any more, and the receiver with it.
#[derive(Debug)]
pub struct IntoIter<T>(pub(super) Receiver<T>);

impl<T: DeserializeOwned> Iterator for IntoIter<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        next(&self.0, Patience::Until(Deadline::NEVER))
    }
}

impl<T: DeserializeOwned> FusedIterator for IntoIter<T> {}

impl<T: DeserializeOwned> IntoIterator for Receiver<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        IntoIter(self)
    }
}

impl<'a, T: DeserializeOwned> IntoIterator for &'a Receiver<T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}
