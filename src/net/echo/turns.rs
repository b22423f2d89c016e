//! A counting semaphore that serves its waiters in order.

use std::collections::VecDeque;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A counting semaphore that serves its waiters in order. With a mutex, under load, some would starve while later ones
/// overtake them.
#[derive(Debug)]
pub(crate) struct Turns(Mutex<State>);

#[derive(Debug)]
struct State {
    free: usize,
    waiting: VecDeque<SyncSender<()>>,
}

/// A turn; dropping it passes it on.
#[derive(Debug)]
pub(crate) struct Turn<'a>(&'a Turns);

impl Turns {
    /// A semaphore that admits `at_once` callers at the same time.
    pub(crate) fn new(at_once: usize) -> Self {
        Self(Mutex::new(State { free: at_once, waiting: VecDeque::new() }))
    }

    /// Waits for a turn.
    pub(crate) fn take(&self) -> Turn<'_> {
        let mut state = self.state();
        if state.free > 0 {
            state.free -= 1;
        } else {
            let (pass, passed) = sync_channel(1);
            state.waiting.push_back(pass);
            drop(state);
            // A turn that ends is always passed on, so the sender is not dropped first.
            let _ = passed.recv();
        }
        Turn(self)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        match state.waiting.pop_front() {
            Some(next) => {
                let _ = next.send(());
            }
            None => state.free += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn turns_are_taken_in_the_order_of_arrival() {
        let (turns, order) = (Turns::new(1), Mutex::new(Vec::new()));
        thread::scope(|scope| {
            let first = turns.take();
            for n in 0..8 {
                let (turns, order) = (&turns, &order);
                scope.spawn(move || {
                    let _turn = turns.take();
                    order.lock().unwrap().push(n);
                });
                while turns.state().waiting.len() <= n {
                    thread::yield_now();
                }
            }
            drop(first);
        });
        assert_eq!(order.into_inner().unwrap(), (0..8).collect::<Vec<_>>());
        assert_eq!(turns.state().free, 1);
    }
}
