//! The signals that were sent, as far as the root tier's records show them.

use super::machine::{SentSignal, Timeline};
use crate::sys::pid::Pid;

impl Timeline {
    /// The signals that are kept, oldest first; root tier only.
    pub fn signals(&self) -> impl DoubleEndedIterator<Item = &SentSignal> {
        self.signals.iter()
    }

    /// The number of signals in total; the oldest may no longer be kept.
    pub fn n_signals(&self) -> u64 {
        self.n_signals
    }

    /// A signal is sent.
    pub(super) fn send_signal(&mut self, to: Pid, number: i32, from: Pid, at_ns: u64) {
        let Some((id, _)) = self.tids.get(&to) else { return };
        if from == Pid::UNKNOWN
            && let Some(process) = self.processes.get_mut(id)
        {
            process.pending |= bit(number);
        }
        self.keep_signal(SentSignal { at_ns, number, from, to });
    }

    /// A signal from the kernel arrives. If it is not known to have been sent, it counts as sent now.
    pub(super) fn receive_signal(&mut self, tid: Pid, number: i32, at_ns: u64) {
        let process = self.tids.get(&tid).and_then(|(id, _)| self.processes.get_mut(id));
        let Some(process) = process else { return };
        let was_sent = process.pending & bit(number) != 0;
        process.pending &= !bit(number);
        let to = process.pid;
        if !was_sent {
            self.keep_signal(SentSignal { at_ns, number, from: Pid::UNKNOWN, to });
        }
    }

    fn keep_signal(&mut self, signal: SentSignal) {
        self.n_signals += 1;
        if self.signals.len() >= self.limits.wakes {
            self.signals.pop_front();
        }
        self.signals.push_back(signal);
    }
}

/// The bit of a signal in a set of signals; none if it is not a signal.
fn bit(number: i32) -> u64 {
    let shift = number.checked_sub(1).and_then(|shift| u32::try_from(shift).ok());
    shift.and_then(|shift| 1_u64.checked_shl(shift)).unwrap_or(0)
}
