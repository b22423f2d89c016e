//! What the processes of a pipeline share: as the parent holds it, as it is sent, and as a process works with it.

use std::io;

use serde::{Deserialize, Serialize};

use super::item::Item;
use super::lost_wakeup::Memory;
use super::params::{Params, Plan, Role};
use crate::queue::{Options, Receiver, ReturnTo, Sender};
use crate::wire::handle::Fd;

/// What the processes share, as their parent holds it.
#[derive(Debug)]
pub struct Resources {
    pub(super) memory: Memory,
    pub(super) sender: Sender<Item>,
    pub(super) receiver: Receiver<Item>,
}

/// What a process is sent.
#[derive(Debug, Serialize, Deserialize)]
pub struct Share {
    pub(super) memory: Fd,
    pub(super) sender: Option<Sender<Item>>,
    pub(super) receiver: Option<Receiver<Item>>,
    pub(super) plan: Plan,
}

/// What a process works with.
#[derive(Debug)]
pub struct Tools {
    pub(super) memory: Memory,
    pub(super) sender: Option<Sender<Item>>,
    pub(super) receiver: Option<Receiver<Item>>,
    pub(super) plan: Plan,
}

impl Resources {
    /// New memory, and an empty queue.
    ///
    /// # Errors
    /// When the system has no memory or descriptor left.
    pub(super) fn create(params: &Params) -> io::Result<Self> {
        let memory = Memory::create()?;
        // To the head: behind the sentinels that send the consumers home, no consumer would take an item
        // that returns.
        let options = Options::new(params.capacity as usize).return_leases_to(ReturnTo::Head);
        let (sender, receiver) = options.create().map_err(io::Error::other)?;
        Ok(Self { memory, sender, receiver })
    }

    /// What a process of this role is sent for a run by this plan.
    ///
    /// # Errors
    /// When a descriptor cannot be duplicated.
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
    /// What the process makes of it.
    ///
    /// # Errors
    /// When memory cannot be mapped.
    pub(super) fn unpack(self) -> io::Result<Tools> {
        let Share { memory, sender, receiver, plan } = self;
        Ok(Tools { memory: Memory::open(memory)?, sender, receiver, plan })
    }
}
