//! A worker: a process of its own that drives the engine, says what happens, and does what it is asked.
//!
//! It ends when its orders are done, when its channel is closed, when it is asked to by SIGTERM, and with the server.

mod explore;
mod graph;
mod noticed;
/// From a request to an order.
pub(super) mod order;
mod said;
mod schedule;
mod told;
mod watch;

use super::protocol::{Command, Message};
use crate::scenario::run::stage::chain;
use crate::wire::control::{Receiver, Sender};

pub(super) use order::Order;
pub(super) use said::Said;

/// The body of a worker's process.
pub(super) fn work(order: Order, commands: Receiver<Command>, said: Sender<Said>) {
    let done = match order {
        Order::Watch { argv, is_run } => watch::work(&argv, is_run, &commands, &said),
        Order::Schedule { code, choices } => schedule::work(&code, choices, &commands, &said),
        Order::Explore { code, reduce, kills } => explore::work(&code, reduce, kills, &commands, &said),
    };
    if let Err(error) = done {
        let _ = said.send(Said::of(&Message::Failed { why: chain(&*error) }));
    }
}
