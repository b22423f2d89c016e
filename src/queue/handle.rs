//! Sends handles to another process, as the descriptors of their side, which are opened when the first handle is sent.
//!
//! While a handle is in transit, the kernel holds its end of the line open, so the other side sees it as alive.

use super::channel::Channel;
use super::end::{Descriptors, Role};
use super::error::AttachError;
use super::inbox::Inbox;
use super::known;
use super::line::Line;
use super::receiver::Receiver;
use super::sender::Sender;
use super::side::Side;
use crate::shm::region::RegionError;
use crate::wire::attachments::refusal;
use crate::wire::handle::Fd;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

/// A handle of one side. The variants keep a receiver from being decoded as a sender.
#[derive(Serialize, Deserialize)]
enum Handle {
    Sender { memory: Fd, line: Fd, peer: u64 },
    Receiver { memory: Fd, line: Fd, peer: u64, returned: Fd, kept: Option<Fd> },
}

impl Handle {
    fn of(side: &Arc<Side>) -> io::Result<Self> {
        let copy = |fd: BorrowedFd<'_>| fd.try_clone_to_owned().map(Fd::from);
        side.share()?;
        known::record(side)?;
        let line = side.end.line().ok_or_else(|| io::Error::other("the queue is not shared"))?;
        let peer = line.peer;
        let (memory, line) = (copy(side.end.channel.memory.region.file())?, copy(line.as_fd())?);
        Ok(match side.end.inbox() {
            None => Handle::Sender { memory, line, peer },
            Some(inbox) => {
                let kept = inbox.kept.as_ref().map(|kept| copy(kept.as_fd())).transpose()?;
                Handle::Receiver { memory, line, peer, returned: copy(inbox.returned.as_fd())?, kept }
            }
        })
    }

    /// The side, and whether it is that of receivers.
    fn attach<E: de::Error>(self) -> Result<(Arc<Side>, bool), E> {
        let channel = |memory: Fd| {
            Channel::attach(memory.into_owned()).map_err(|error| match error {
                AttachError::Region(RegionError::Os(error)) => E::custom(refusal(error)),
                error => E::custom(error),
            })
        };
        let (side, is_receiver) = match self {
            Handle::Sender { memory, line, peer } => {
                let descriptors = || Descriptors { line: Line::attach(line.into_owned(), peer), inbox: None };
                (known::side(channel(memory)?, Role::Senders, descriptors), false)
            }
            Handle::Receiver { memory, line, peer, returned, kept } => {
                let descriptors = || {
                    let inbox = Inbox::attach(returned.into_owned(), kept.map(Fd::into_owned));
                    Descriptors { line: Line::attach(line.into_owned(), peer), inbox: Some(inbox) }
                };
                (known::side(channel(memory)?, Role::Receivers, descriptors), true)
            }
        };
        Ok((side.map_err(|error| E::custom(refusal(error)))?, is_receiver))
    }
}

impl<T> Serialize for Sender<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Handle::of(&self.side).map_err(|error| ser::Error::custom(refusal(error)))?.serialize(serializer)
    }
}

impl<T> Serialize for Receiver<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Handle::of(&self.side).map_err(|error| ser::Error::custom(refusal(error)))?.serialize(serializer)
    }
}

impl<'de, T> Deserialize<'de> for Sender<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Handle::deserialize(deserializer)?.attach()? {
            (side, false) => Ok(Sender::new(side)),
            (_, true) => Err(de::Error::custom("this is a receiver, not a sender")),
        }
    }
}

impl<'de, T> Deserialize<'de> for Receiver<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Handle::deserialize(deserializer)?.attach()? {
            (side, true) => Ok(Receiver::new(side)),
            (_, false) => Err(de::Error::custom("this is a sender, not a receiver")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Receiver, Sender, bounded};
    use crate::wire::control;

    #[test]
    fn both_ends_can_be_sent_to_another_process() {
        let (sender, receiver) = bounded::<String>(5).unwrap();
        let (there, here) = control::channel::<(Sender<String>, Receiver<String>)>().unwrap();
        there.send((sender, receiver)).unwrap();
        let (sender, receiver) = here.recv().unwrap();
        sender.send("火锅".to_owned()).unwrap();
        assert_eq!(receiver.recv().unwrap(), "火锅");
        drop(sender);
        assert!(receiver.recv().is_err());
    }

    #[test]
    fn a_handle_in_transit_counts_as_alive() {
        let (sender, receiver) = bounded::<u8>(5).unwrap();
        let (there, here) = control::channel::<Sender<u8>>().unwrap();
        there.send(sender).unwrap();
        assert!(matches!(receiver.try_recv(), Err(super::super::error::TryRecvError::Empty)));
        drop(here);
        assert!(matches!(receiver.try_recv(), Err(super::super::error::TryRecvError::Disconnected)));
    }
}
