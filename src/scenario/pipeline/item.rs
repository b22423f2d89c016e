//! What goes through the queue.

use serde::{Deserialize, Serialize};

use crate::explore::step::Observation;
use crate::observe::notes::Message;
use crate::scenario::world::{Parcel, encode};

/// The queue's name, for watchers.
pub(super) const QUEUE: &str = "queue";
/// What goes through the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Item {
    /// The `None` that sends a consumer home.
    Sentinel,
    /// An item: of which producer, and its number from 0.
    Food(usize, u64),
}

impl Item {
    /// As a word of memory: a producer's number has eight bits, an item's the rest.
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

/// An item, and how it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dish {
    pub(super) item: Item,
    pub(super) food: String,
}

/// The name of a producer.
pub(super) fn producer(index: usize) -> String {
    format!("producer-{index}")
}

impl Parcel for Dish {
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
        // Sentinels are all alike.
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
    fn an_item_comes_back_from_its_word() {
        for item in [Item::Sentinel, Item::Food(0, 0), Item::Food(199, 99_999)] {
            assert_eq!(Item::from_word(item.to_word()), item);
        }
    }
}
