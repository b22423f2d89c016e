//! The items that pass through the queue.

use serde::{Deserialize, Serialize};

use crate::explore::step::Observation;
use crate::observe::notes::Message;
use crate::scenario::world::{Payload, encode};

/// The queue's name, for watchers.
pub(super) const QUEUE: &str = "queue";

/// An item in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Item {
    /// The `None` that ends a consumer.
    Sentinel,
    /// The index of its producer, and its number, counted from 0.
    Food(usize, u64),
}

impl Item {
    /// The item as one word: eight bits for the producer, the rest for the number.
    pub(super) fn to_word(self) -> u32 {
        match self {
            Item::Sentinel => 0,
            Item::Food(producer, number) => (number as u32 + 1) << 8 | producer as u32,
        }
    }

    pub(super) fn from_word(word: u32) -> Item {
        match word >> 8 {
            0 => Item::Sentinel,
            number => Item::Food((word & 0xff) as usize, u64::from(number) - 1),
        }
    }
}

/// An item with the name of the food.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dish {
    pub(super) item: Item,
    pub(super) food: String,
}

/// The name of a producer.
pub(super) fn producer(index: usize) -> String {
    format!("producer-{index}")
}

impl Payload for Dish {
    fn name(&self) -> String {
        match self.item {
            Item::Sentinel => "a None".to_owned(),
            Item::Food(index, number) => format!("{}{number} of {}", self.food, producer(index)),
        }
    }

    fn put(&self) -> String {
        match self.item {
            Item::Sentinel => "puts a None".to_owned(),
            Item::Food(_, number) => format!("made {}{number}", self.food),
        }
    }

    fn id(&self) -> Message {
        // All sentinels have the same identity.
        let (sender, number) = match self.item {
            Item::Sentinel => ("main".to_owned(), 0),
            Item::Food(index, number) => (producer(index), number),
        };
        Message { queue: QUEUE.to_owned(), sender, number }
    }

    fn observation(&self) -> Observation {
        encode(&self.item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_survives_the_conversion_to_a_word() {
        for item in [Item::Sentinel, Item::Food(0, 0), Item::Food(199, 99_999)] {
            assert_eq!(Item::from_word(item.to_word()), item);
        }
    }
}
