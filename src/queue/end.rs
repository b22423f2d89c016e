//! What one side of a queue has in one process: the memory, and once the queue is shared, its end of the line.

use super::channel::Channel;
use super::inbox::Inbox;
use super::line::Line;
use super::wake_event::{self, Event};
use std::sync::{Arc, OnceLock};

/// Which side of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Senders,
    Receivers,
}

/// The end of one side.
#[derive(Debug)]
pub(super) struct End {
    pub(super) channel: Arc<Channel>,
    pub(super) role: Role,
    descriptors: OnceLock<Descriptors>,
}

/// What a side has once the queue is shared with other processes.
#[derive(Debug)]
pub(super) struct Descriptors {
    pub(super) line: Line,
    /// Of receivers only.
    pub(super) inbox: Option<Inbox>,
}

impl End {
    /// That of a queue that is not shared.
    pub(super) fn new(channel: Arc<Channel>, role: Role) -> Self {
        End { channel, role, descriptors: OnceLock::new() }
    }

    /// That of a queue that is shared.
    pub(super) fn shared(channel: Arc<Channel>, role: Role, descriptors: Descriptors) -> Self {
        End { channel, role, descriptors: descriptors.into() }
    }

    /// Sets the descriptors when the queue is shared.
    pub(super) fn connect(&self, descriptors: Descriptors) {
        let _ = self.descriptors.set(descriptors);
    }

    /// Closes the descriptors.
    pub(super) fn disconnect(&mut self) {
        drop(self.descriptors.take());
    }

    /// Wakes all that sleep until `event`, and keeps other processes from going to sleep. Requires the lock of the event.
    pub(super) fn set(&self, event: Event) {
        let channel = &*self.channel;
        if !channel.is_shared() {
            channel.bell.ring_after(|| !channel.is_shared());
        }
        let Some(Descriptors { line, inbox }) = self.descriptors.get() else { return };
        match (event, inbox) {
            (Event::Items, Some(inbox)) => inbox.returned.ring(),
            (Event::Items, None) | (Event::Space, _) => line.groups().signal(),
            (Event::Settled, _) => wake_event::set_settled(&channel.memory),
        }
    }

    /// Lets the processes of this side go to sleep. Requires the lock of the event. A bell is not reset: see there.
    ///
    /// No message is queued when receivers go to sleep, and no process sends, so handles in the line are strays.
    pub(super) fn reset(&self) {
        let Some(Descriptors { line, inbox }) = self.descriptors.get() else { return };
        line.groups().clear();
        if let Some(inbox) = inbox {
            inbox.returned.silence();
        }
    }

    /// Records that a handle of this side was dropped.
    pub(super) fn record_drop(&self) {
        let Some(Descriptors { line, inbox }) = self.descriptors.get() else { return };
        line.record_drop();
        if let Some(inbox) = inbox {
            inbox.record_drop();
        }
    }

    /// This side's end of the line, once the queue is shared.
    pub(super) fn line(&self) -> Option<&Line> {
        self.descriptors.get().map(|descriptors| &descriptors.line)
    }

    /// What receivers have beside the line, once the queue is shared.
    pub(super) fn inbox(&self) -> Option<&Inbox> {
        self.descriptors.get()?.inbox.as_ref()
    }
}
