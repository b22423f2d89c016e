//! A worker: a process of its own that drives the engine, reports what happens, and carries out commands.
//!
//! It ends when its order is done, when its channel is closed, on SIGTERM, and with the server.

mod commands;
mod ending;
mod explore;
mod graph;
mod lab;
mod observer;
/// From a request to an order.
pub(super) mod order;
mod reported;
mod schedule;
mod traced;
mod update;
mod watch;
mod wire;

use super::protocol::{Command, Message, Refusal};
use crate::process::chain;
use crate::wire::control::{Receiver, Sender};

pub(super) use lab::list as labs;
pub(super) use order::{Order, Prepared};
pub(super) use update::Update;

/// The body of a worker's process.
pub(super) fn work(order: Order, commands: Receiver<Command>, updates: Sender<Update>) {
    let done = match order {
        Order::Watch { argv, is_run } => watch::work(&argv, is_run, &commands, &updates),
        Order::Schedule { code, choices } => schedule::work(&code, choices, &commands, &updates),
        Order::Lab { name, labs, lang } => lab::work(&name, labs, lang, commands, &updates),
        Order::Wire { program, damage, by_hand } => {
            wire::work(&program, damage, by_hand, commands, updates.clone())
        }
        Order::ScheduleProgram { command, steps, typed } => {
            traced::schedule(*command, steps, &typed, commands, &updates)
        }
        Order::ExploreProgram { command, criteria, kills } => {
            traced::explore(&command, &criteria, kills, commands, &updates)
        }
        Order::Explore { code, reduce, kills } => explore::work(&code, reduce, kills, &commands, &updates),
    };
    if let Err(error) = done {
        let refusal = error
            .downcast::<Refusal>()
            .map_or_else(|error| Refusal::WorkerFailed { why: chain(&*error) }, |known| *known);
        let _ = updates.send(Update::new(&Message::Failed(refusal.into())));
    }
}
