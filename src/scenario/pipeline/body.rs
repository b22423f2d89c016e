//! The code of each process of a pipeline, in any world.

use std::io;

use super::ends::{Receiving, Sending};
use super::item::QUEUE;
use super::item::{Dish, Item};
use super::params::{Params, QueueKind, Role};
use super::resources::Tools;
use crate::explore::step::{Observation, letter};
use crate::observe::notes::Fact;
use crate::scenario::world::{Access, News, Payload, Seen, Step, World, encode};

const JOIN: Step = Step { name: "join", resource: QUEUE, access: Access::Write };
const TAKE: Step = Step { name: "take", resource: QUEUE, access: Access::Write };
const LOOK: Step = Step { name: "look", resource: QUEUE, access: Access::Read };
const WAKE: Step = Step { name: "wake", resource: "bed", access: Access::Write };
const SLEEP: Step = Step { name: "sleep", resource: "bed", access: Access::Write };
const GET_UP: Step = Step { name: "get-up", resource: "bed", access: Access::Write };

/// Runs the code for the role of `process`. Returns how many items it has put or taken.
pub(super) fn work<W: World>(
    world: &mut W,
    params: &Params,
    tools: &Tools,
    process: usize,
) -> io::Result<u64> {
    match params.role(process) {
        Role::Producer(index) => produce(world, params, tools, index),
        Role::Consumer(index) => consume(world, params, tools, index),
        Role::Main => close(world, params, tools),
    }
}

/// Producer `index` makes and puts its items. Returns how many it has put.
fn produce<W: World>(world: &mut W, params: &Params, tools: &Tools, index: usize) -> io::Result<u64> {
    let mut sending = Sending::new(params, tools, Some(params.items));
    for number in 0..params.items {
        world.think(tools.plan.produce);
        if !put(world, params, tools, &mut sending, Item::Food(index, number))? {
            tools.memory.finish();
            world.tell(|| News::new("refused", "ends: no consumer is left"));
            return Ok(number);
        }
    }
    Ok(params.items)
}

/// The main process joins the producers and puts the sentinels. Returns how many it has put.
pub(super) fn close<W: World>(world: &mut W, params: &Params, tools: &Tools) -> io::Result<u64> {
    world.wait(JOIN, || {
        let all = tools.memory.finished() >= params.producers;
        Ok(all.then_some("all producers have finished"))
    })?;
    let mut sending = Sending::new(params, tools, None);
    for nth in 0..params.sentinels {
        if !put(world, params, tools, &mut sending, Item::Sentinel)? {
            return Ok(nth);
        }
    }
    Ok(params.sentinels)
}

fn put<W: World>(
    world: &mut W,
    params: &Params,
    tools: &Tools,
    sending: &mut Sending<'_>,
    item: Item,
) -> io::Result<bool> {
    let is_sent = world.send(sending, Dish { item, food: tools.plan.food.clone() })?;
    if is_sent && params.queue == QueueKind::LostWakeup {
        world.step(WAKE, || Woken(tools.memory.wake_one(params.processes())));
    }
    Ok(is_sent)
}

/// Consumer `index` takes and eats items until it takes a sentinel or the queue is closed. Returns how many it has
/// eaten.
fn consume<W: World>(world: &mut W, params: &Params, tools: &Tools, index: usize) -> io::Result<u64> {
    let plan = &tools.plan;
    let mut receiving = Receiving::new(tools);
    for eaten in 0.. {
        let dish = match params.queue {
            QueueKind::Ours => world.recv(&mut receiving)?,
            QueueKind::LostWakeup => Some(look_and_sleep(world, params, tools, index)?),
        };
        let Some(dish) = dish else {
            world.tell(|| News::new("over", "ends: the queue is closed"));
            return Ok(eaten);
        };
        if dish.item == Item::Sentinel {
            world.tell(|| News::new("none", "takes a None and ends"));
            receiving.done()?;
            return Ok(eaten);
        }
        if plan.kill == Some((index, eaten + 1)) {
            world.tell(|| {
                News::new("doomed", format!("takes {} and is killed before eating it", dish.name()))
            });
            loop {
                std::thread::park();
            }
        }
        world.think(plan.consume);
        world.tell(|| {
            let again = match receiving.deliveries() {
                0 | 1 => String::new(),
                times => format!(" (delivered {times} times)"),
            };
            let text = format!("ate {}{again}", dish.name());
            News { what: "ate", text, fact: Some(Fact::Finished(dish.id())) }
        });
        receiving.done()?;
    }
    unreachable!("a u64 of items is never eaten")
}

/// How a consumer takes an item from the queue that loses wake-ups.
fn look_and_sleep<W: World>(world: &mut W, params: &Params, tools: &Tools, index: usize) -> io::Result<Dish> {
    let process = params.producers as usize + index;
    loop {
        if world.step(LOOK, || Looked { is_empty: tools.memory.is_empty() }).is_empty {
            world.step(SLEEP, || {
                tools.memory.sleep(process);
                "goes to sleep"
            });
            world.tell(|| News {
                what: "wait",
                text: "waits to be woken".to_owned(),
                fact: Some(Fact::MessageAwaited(QUEUE.to_owned())),
            });
            world.wait(GET_UP, || Ok(tools.memory.get_up(process).then_some("was woken")))?;
            continue;
        }
        if let Some(item) = world.step(TAKE, || Popped(tools.memory.pop())).0 {
            let dish = Dish { item, food: tools.plan.food.clone() };
            world.tell(|| News {
                what: "get",
                text: format!("takes {}", dish.name()),
                fact: Some(Fact::Taken(dish.id())),
            });
            return Ok(dish);
        }
    }
}

struct Looked {
    is_empty: bool,
}

impl Seen for Looked {
    fn seen(&self) -> String {
        if self.is_empty { "the queue is empty" } else { "the queue has an item" }.to_owned()
    }
}

struct Woken(Option<usize>);

impl Seen for Woken {
    fn seen(&self) -> String {
        match self.0 {
            Some(process) => format!("wakes {}", letter(process)),
            None => "no process is asleep".to_owned(),
        }
    }
}

struct Popped(Option<Item>);

impl Seen for Popped {
    fn seen(&self) -> String {
        match self.0 {
            Some(item) => Dish { item, food: "item ".to_owned() }.name(),
            None => "another consumer was first".to_owned(),
        }
    }

    fn observation(&self) -> Observation {
        self.0.map_or_else(Observation::default, |item| encode(&item))
    }
}
