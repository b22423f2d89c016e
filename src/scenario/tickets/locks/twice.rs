//! A correct lock, taken by the caller and again by the function that it calls.

use super::flock;
use super::recipe::{Discipline, Promise, Recipe};

pub(super) const RECIPE: Recipe = Recipe {
    name: "twice",
    code: "tw",
    why: "The buyer takes the lock, and the function that it calls opens the lock file again and waits for the \
          same lock. Two descriptors are two owners, so the buyer waits for itself.",
    promise: Promise::Deadlocks,
    discipline: Discipline::Twice,
    ..flock::RECIPE
};
