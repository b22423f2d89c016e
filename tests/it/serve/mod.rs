//! The page: who may come in, what a job says, what is left, and all of it in a real browser.

mod attacks;
mod browser;
mod class;
mod ends;
mod http;
mod jobs;
pub(crate) mod keeper;
mod labs;
mod languages;
mod looks;
mod programs;
mod views;
mod wire;

use libtest_mimic::Trial;

pub(crate) fn tests() -> Vec<Trial> {
    let rooms = [attacks::tests(), jobs::tests(), class::tests(), ends::tests(), views::tests()];
    let views = [wire::tests(), programs::tests(), labs::tests(), looks::tests(), languages::tests()];
    rooms.into_iter().chain(views).flatten().collect()
}
