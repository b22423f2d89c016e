//! Predicts whether a step would be enabled in a state that was not executed, from the events before it.
//!
//! An answer saves an execution that would be given up. If the events do not determine it, there is none.

use super::signals;
use crate::explore::step::{Access, Event, Label, Step};

/// Whether `step` of `task` would be enabled after `history`, the events that accessed its objects. The holder of a lock
/// that `is_shared`, which is acquired through descriptions that several processes have, is unknown.
pub(super) fn would_run(
    names: &[String],
    is_shared: impl Fn(&str) -> bool,
    task: usize,
    step: &Step,
    history: &[&Event],
) -> Option<bool> {
    let waits = step.touches().find(|touch| touch.access.may_wait())?;
    let object = waits.object.as_str();
    if let Some(receiver) = object.strip_prefix("signals ") {
        return match signals::receiver_of(names.get(task)?) {
            Some(_) => (!may_arrive(names, receiver, waits.object, history)).then_some(false),
            // Only a signal ends these calls, and then they do not return by themselves.
            None => matches!(step.name.as_str(), "pause returns" | "sigsuspend returns").then_some(false),
        };
    }
    if may_be_killed(task, step, history) {
        return None;
    }
    match waits.access {
        Access::Acquire if is_shared(object) => None,
        Access::Acquire => is_free(waits.object, task, names, history),
        Access::Await if object.starts_with("exit ") => {
            Some(history.iter().any(|event| does(event, waits.object, Access::Write)))
        }
        Access::Await if object.starts_with("children of ") => {
            let ended = history.iter().filter(|event| does(event, waits.object, Access::Add)).count();
            // A wait for a signal ends with a child too, and reaps none.
            let reaps = |event: &&&Event| {
                event.step.resource == waits.object && does(event, waits.object, Access::Await)
            };
            let reaped = history.iter().filter(reaps).count();
            // A wait with WNOHANG or WNOWAIT, or for one child among several, may have reaped one or not.
            let unknown = history.iter().any(|event| {
                event.step.name.as_str() == "waitid"
                    || event.touches().any(|touch| {
                        touch.object == waits.object
                            && !matches!(touch.access, Access::Add | Access::Await | Access::Read)
                    })
            });
            (!unknown).then_some(ended > reaped)
        }
        _ => None,
    }
}

/// Whether a signal could arrive at a receiver before a call: one was sent, and the receiver's last step was not the entry
/// of a call from which it has not returned.
fn may_arrive(names: &[String], receiver: &str, signals: Label, history: &[&Event]) -> bool {
    let is_own = |event: &&&Event| names.get(event.choice.index()).is_some_and(|name| name == receiver);
    let is_inside = history
        .iter()
        .rev()
        .find(is_own)
        .is_some_and(|event| !event.step.name.as_str().ends_with(" returns"));
    let is_sent = history.iter().any(|event| {
        let name = names.get(event.choice.index()).map_or("", String::as_str);
        let is_sender = name != receiver && signals::receiver_of(name).is_none();
        is_sender && event.touches().any(|touch| touch.object == signals && touch.access != Access::Read)
    });
    is_sent && !is_inside
}

/// Whether another task has sent a signal to the process of `task`. If it kills, it ends whatever the process waits for.
fn may_be_killed(task: usize, step: &Step, history: &[&Event]) -> bool {
    let sends = |event: &&&Event| {
        let name = event.step.name.as_str();
        event.choice.index() != task && (name.contains("kill") || name.contains("sig"))
    };
    let mut own =
        step.touches().map(|touch| touch.object).filter(|object| object.as_str().starts_with("signals "));
    own.any(|own| history.iter().filter(sends).any(|event| does(event, own, Access::Write)))
}

fn does(event: &Event, object: Label, access: Access) -> bool {
    event.touches().any(|touch| touch.object == object && touch.access == access)
}

/// Whether the lock is free, or `task` holds it.
fn is_free(lock: Label, task: usize, names: &[String], history: &[&Event]) -> Option<bool> {
    let mut holder: Option<usize> = None;
    for event in history {
        let who = event.choice.index();
        for touch in event.touches().filter(|touch| touch.object == lock) {
            match touch.access {
                Access::Acquire => holder = Some(who),
                Access::Release if holder == Some(who) => holder = None,
                // A lock that another process released belongs to a shared description. A shared lock or a try may have
                // been granted or not.
                Access::Release if holder.is_none() => {}
                _ => return None,
            }
        }
    }
    let process =
        |task: usize| names.get(task).map(|name| name.split(".t").next().unwrap_or(name).to_owned());
    Some(holder.is_none_or(|holder| process(holder) == process(task)))
}
