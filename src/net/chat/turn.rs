//! Whose turn it is to speak.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The minimum time between two messages, well above the pause that ends one.
const GAP: Duration = Duration::from_millis(90);
/// The maximum wait for an answer before the next message is sent.
const TURN: Duration = Duration::from_millis(300);

/// Whose turn it is, as far as that is known.
#[derive(Default)]
pub(super) struct Turn {
    state: Mutex<TurnState>,
    changed: Condvar,
}

#[derive(Default)]
struct TurnState {
    last_sent: Option<Instant>,
    answered: bool,
    peer_ended: bool,
    over: bool,
}

impl Turn {
    /// The peer's turn, as if this end had just sent something.
    pub(super) fn of_the_peer() -> Self {
        let turn = Self::default();
        turn.sent();
        turn
    }

    fn state(&self) -> MutexGuard<'_, TurnState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn sent(&self) {
        let mut state = self.state();
        state.last_sent = Some(Instant::now());
        state.answered = false;
    }

    pub(super) fn received(&self) {
        self.state().answered = true;
        self.changed.notify_all();
    }

    pub(super) fn peer_ended(&self) {
        self.state().peer_ended = true;
        self.changed.notify_all();
    }

    pub(super) fn has_peer_ended(&self) -> bool {
        self.state().peer_ended
    }

    pub(super) fn end(&self) {
        self.state().over = true;
        self.changed.notify_all();
    }

    /// Waits until the next message may be sent; `false` if the conversation is over.
    pub(super) fn wait(&self) -> bool {
        let mut state = self.state();
        while let Some(last) = state.last_sent.filter(|_| !state.over) {
            let pause = if state.answered || state.peer_ended { GAP } else { TURN };
            let left = pause.saturating_sub(last.elapsed());
            if left.is_zero() {
                break;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        !state.over
    }
}
