//! The ends of the queue that producers and consumers hold, for both kinds of queue.

use std::io;
use std::time::Duration;

use super::item::{Dish, Item, QUEUE};
use super::params::{Params, QueueKind};
use super::resources::Tools;
use crate::queue::Lease;
use crate::queue::error::{RecvError, SendError, TryRecvError, TrySendError};
use crate::scenario::world::{Received, RecvEnd, SendEnd, Sent};

/// How often a sender checks for room in a queue that cannot wake it.
const POLL_INTERVAL: Duration = Duration::from_micros(200);

/// The sending end of a producer or of the main process.
#[derive(Debug)]
pub(super) struct Sending<'a> {
    params: &'a Params,
    tools: &'a Tools,
    /// How many items a producer still has to put. The last one also counts the producer as finished, in the same
    /// step.
    left: Option<u64>,
}

impl<'a> Sending<'a> {
    pub(super) fn new(params: &'a Params, tools: &'a Tools, left: Option<u64>) -> Self {
        Self { params, tools, left }
    }

    fn sent(&mut self, sent: Sent) -> Sent {
        let Some(left) = &mut self.left else { return sent };
        if sent == Sent::Done {
            *left -= 1;
            if *left == 0 {
                self.tools.memory.finish();
            }
        }
        sent
    }
}

fn closed() -> io::Error {
    io::Error::other("this process holds no end of the queue")
}

impl SendEnd<Dish> for Sending<'_> {
    fn try_send(&mut self, dish: &Dish) -> io::Result<Sent> {
        let sent = match self.params.queue {
            QueueKind::LostWakeup => {
                if self.tools.memory.push(dish.item, self.params.capacity) {
                    Sent::Done
                } else {
                    Sent::Full
                }
            }
            QueueKind::Ours => match self.tools.sender.as_ref().ok_or_else(closed)?.try_send(dish.item) {
                Ok(()) => Sent::Done,
                Err(TrySendError::Full(_)) => Sent::Full,
                Err(TrySendError::Disconnected(_)) => Sent::Closed,
                Err(error) => return Err(io::Error::other(error.to_string())),
            },
        };
        Ok(self.sent(sent))
    }

    fn send(&mut self, dish: &Dish) -> io::Result<Sent> {
        if self.params.queue == QueueKind::LostWakeup {
            loop {
                match self.try_send(dish)? {
                    Sent::Full => std::thread::sleep(POLL_INTERVAL),
                    sent => return Ok(sent),
                }
            }
        }
        let sent = match self.tools.sender.as_ref().ok_or_else(closed)?.send(dish.item) {
            Ok(()) => Sent::Done,
            Err(SendError::Disconnected(_)) => Sent::Closed,
            Err(error) => return Err(io::Error::other(error.to_string())),
        };
        Ok(self.sent(sent))
    }
}

/// A consumer's receiving end of this library's queue.
#[derive(Debug)]
pub(super) struct Receiving<'a> {
    tools: &'a Tools,
    lease: Option<Lease<Item>>,
}

impl<'a> Receiving<'a> {
    pub(super) fn new(tools: &'a Tools) -> Self {
        Self { tools, lease: None }
    }

    /// How often the last item was delivered, including this time.
    pub(super) fn deliveries(&self) -> u32 {
        self.lease.as_ref().map_or(1, Lease::deliveries)
    }

    /// Marks the last item as done. A lease that is not marked returns to the queue.
    pub(super) fn done(&mut self) -> io::Result<()> {
        self.lease.take().map_or(Ok(()), |lease| lease.done().map(drop))
    }

    fn take(&mut self, lease: Lease<Item>) -> Received<Dish> {
        let item = *lease;
        self.lease = Some(lease);
        self.dish(item)
    }

    fn dish(&self, item: Item) -> Received<Dish> {
        Received::Message(Dish { item, food: self.tools.plan.food.clone() })
    }
}

impl RecvEnd<Dish> for Receiving<'_> {
    fn queue(&self) -> &str {
        QUEUE
    }

    fn try_recv(&mut self) -> io::Result<Received<Dish>> {
        let receiver = self.tools.receiver.as_ref().ok_or_else(closed)?;
        let received = if self.tools.plan.leases {
            receiver.try_lease().map(|lease| self.take(lease))
        } else {
            receiver.try_recv().map(|item| self.dish(item))
        };
        match received {
            Ok(received) => Ok(received),
            Err(TryRecvError::Empty) => Ok(Received::Empty),
            Err(TryRecvError::Disconnected) => Ok(Received::Closed),
            Err(error) => Err(io::Error::other(error.to_string())),
        }
    }

    fn recv(&mut self) -> io::Result<Received<Dish>> {
        let receiver = self.tools.receiver.as_ref().ok_or_else(closed)?;
        let received = if self.tools.plan.leases {
            receiver.lease().map(|lease| self.take(lease))
        } else {
            receiver.recv().map(|item| self.dish(item))
        };
        match received {
            Ok(received) => Ok(received),
            Err(RecvError::Disconnected) => Ok(Received::Closed),
            // Not the end of the queue: a message that was accepted and cannot be received is an error.
            Err(error) => Err(io::Error::other(error.to_string())),
        }
    }
}
