//! A right lock, taken too late.

use super::flock;
use super::recipe::{Discipline, Promise, Recipe};

pub(super) const RECIPE: Recipe = Recipe {
    name: "check-outside",
    code: "co",
    why: "The stock is read and the decision made before the lock is taken. Inside, a right lock guards the \
          writing of a number that may be out of date.",
    promise: Promise::Broken,
    discipline: Discipline::ReadFirst,
    ..flock::RECIPE
};
