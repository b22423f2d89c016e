//! The network programs on the command line: with the Python programs, and against hostile peers.

mod captures;
mod demos;
mod ends;
mod files;
mod guests;
mod hostile;
mod python;
mod wire;

use libtest_mimic::Trial;

pub(crate) fn tests() -> Vec<Trial> {
    [python::tests(), hostile::tests(), files::tests(), demos::tests(), captures::tests()]
        .into_iter()
        .flatten()
        .collect()
}
