//! Sends handles to another process, as six descriptors, which are opened when the first handle is sent.
//!
//! While a handle is in transit, the kernel holds its end of the line open, so the other side sees it as alive.

use super::channel::Channel;
use super::error::AttachError;
use super::receiver::Receiver;
use super::sender::Sender;
use super::side::Side;
use super::wires::{Event, Wires};
use crate::shm::region::RegionError;
use crate::wire::attachments::refusal;
use crate::wire::handle::Fd;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

/// A handle of one side. The variants keep a receiver from being decoded as a sender.
#[derive(Serialize, Deserialize)]
enum Handle {
    Sender(Fds),
    Receiver(Fds),
}

#[derive(Serialize, Deserialize)]
struct Fds {
    memory: Fd,
    items: Fd,
    space: Fd,
    settled: Fd,
    line: Fd,
    parcels: Option<Fd>,
}

impl Fds {
    fn of(side: &Side) -> std::io::Result<Self> {
        let copy = |fd: BorrowedFd<'_>| fd.try_clone_to_owned().map(Fd::from);
        side.share()?;
        let channel = &side.channel;
        let unshared = || std::io::Error::other("the queue is not shared");
        let (wires, line) = channel.wires.get().zip(side.line()).ok_or_else(unshared)?;
        Ok(Fds {
            memory: copy(channel.memory.region.file())?,
            items: copy(wires.event(Event::Items).as_fd())?,
            space: copy(wires.event(Event::Space).as_fd())?,
            settled: copy(wires.event(Event::Settled).as_fd())?,
            line: copy(line)?,
            parcels: wires.parcels().map(|parcels| copy(parcels.as_fd())).transpose()?,
        })
    }

    fn attach<E: de::Error>(self) -> Result<Arc<Side>, E> {
        let events = [self.items, self.space, self.settled].map(Fd::into_owned);
        let parcels = self.parcels.map(Fd::into_owned);
        let wires = Wires::attach(events, parcels);
        let channel = Channel::attach(self.memory.into_owned(), wires).map_err(|error| match error {
            AttachError::Region(RegionError::Os(error)) => E::custom(refusal(error)),
            error => E::custom(error),
        })?;
        Ok(Arc::new(Side::attach(channel, self.line.into_owned())))
    }
}

impl<T> Serialize for Sender<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Handle::Sender(Fds::of(&self.side).map_err(|error| ser::Error::custom(refusal(error)))?)
            .serialize(serializer)
    }
}

impl<T> Serialize for Receiver<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Handle::Receiver(Fds::of(&self.side).map_err(|error| ser::Error::custom(refusal(error)))?)
            .serialize(serializer)
    }
}

impl<'de, T> Deserialize<'de> for Sender<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Handle::deserialize(deserializer)? {
            Handle::Sender(fds) => Ok(Sender::new(fds.attach()?)),
            Handle::Receiver(_) => Err(de::Error::custom("this is a receiver, not a sender")),
        }
    }
}

impl<'de, T> Deserialize<'de> for Receiver<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Handle::deserialize(deserializer)? {
            Handle::Receiver(fds) => Ok(Receiver::new(fds.attach()?)),
            Handle::Sender(_) => Err(de::Error::custom("this is a sender, not a receiver")),
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
