//! A correct lock, taken too late.

use super::flock;
use super::recipe::{Discipline, Promise, Recipe};

pub(super) const RECIPE: Recipe = Recipe {
    name: "check-outside",
    code: "co",
    why: "The buyer reads the stock and decides before it takes the lock. The lock is correct, but by then the \
          number may be out of date.",
    promise: Promise::Broken,
    discipline: Discipline::ReadFirst,
    ..flock::RECIPE
};
