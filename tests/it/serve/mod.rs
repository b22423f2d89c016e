//! The page: who may come in, what a job says, what is left, and all of it in a real browser.

mod attacks;
mod browser;
mod class;
mod ends;
mod http;
mod jobs;
mod views;

use libtest_mimic::Trial;

pub(crate) fn tests() -> Vec<Trial> {
    [attacks::tests(), jobs::tests(), class::tests(), ends::tests(), views::tests()]
        .into_iter()
        .flatten()
        .collect()
}
