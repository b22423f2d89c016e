//! The resources that the processes of a pipeline share: the parent's side, the form that is sent, and a process's side.

use std::io;

use serde::{Deserialize, Serialize};

use super::item::Item;
use super::lost_wakeup::Memory;
use super::params::{Params, Plan, Role};
use crate::queue::{Options, Receiver, ReturnTo, Sender};
use crate::wire::handle::Fd;

/// The parent's side of the shared resources.
#[derive(Debug)]
pub struct Resources {
    pub(super) memory: Memory,
    pub(super) sender: Sender<Item>,
    pub(super) receiver: Receiver<Item>,
}

/// The part that is sent to a process.
#[derive(Debug, Serialize, Deserialize)]
pub struct Share {
    pub(super) memory: Fd,
    pub(super) sender: Option<Sender<Item>>,
    pub(super) receiver: Option<Receiver<Item>>,
    pub(super) plan: Plan,
}

/// A process's side of the shared resources.
#[derive(Debug)]
pub struct Tools {
    pub(super) memory: Memory,
    pub(super) sender: Option<Sender<Item>>,
    pub(super) receiver: Option<Receiver<Item>>,
    pub(super) plan: Plan,
}

impl Resources {
    /// Creates the memory and an empty queue.
    ///
    /// # Errors
    /// If no memory or descriptor is left.
    pub(super) fn create(params: &Params) -> io::Result<Self> {
        let memory = Memory::create()?;
        // To the head: a returned item behind the sentinels would never be taken, because they end the consumers.
        let options = Options::new(params.capacity as usize).return_leases_to(ReturnTo::Head);
        let (sender, receiver) = options.create().map_err(io::Error::other)?;
        Ok(Self { memory, sender, receiver })
    }

    /// The share for a process of this role.
    ///
    /// # Errors
    /// If a descriptor cannot be duplicated.
    pub(super) fn share(&self, role: Role, plan: &Plan) -> io::Result<Share> {
        let is_consumer = matches!(role, Role::Consumer(_));
        Ok(Share {
            memory: self.memory.file()?.into(),
            sender: (!is_consumer).then(|| self.sender.clone()),
            receiver: is_consumer.then(|| self.receiver.clone()),
            plan: plan.clone(),
        })
    }
}

impl Share {
    /// Turns the received share into tools.
    ///
    /// # Errors
    /// If memory cannot be mapped.
    pub(super) fn unpack(self) -> io::Result<Tools> {
        let Share { memory, sender, receiver, plan } = self;
        Ok(Tools { memory: Memory::open(memory)?, sender, receiver, plan })
    }
}
