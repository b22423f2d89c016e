//! The cases of CPython's own `Lib/test/_test_multiprocessing.py` (3.11), each under its class and name, written against
//! the public API alone: under every start method, and once more from a parent with several threads.
//!
//! `docs/from-python.md` says which cases have no counterpart, and why.

mod connections;
mod locks;
mod pool;
mod process;
mod queue;
mod shared;

use crate::common::bounded;
use libtest_mimic::Trial;
use proclab::StartMethod;
use std::sync::mpsc;
use std::time::Duration;

/// The limit for what must happen.
const SOON: Duration = Duration::from_secs(30);
/// The time that passes where nothing must happen.
const SHORT: Duration = Duration::from_millis(20);

pub(crate) fn tests() -> Vec<Trial> {
    [process::tests(), queue::tests(), locks::tests(), shared::tests(), pool::tests(), connections::tests()]
        .into_iter()
        .flatten()
        .collect()
}

/// One case: under every start method, then from a parent with several threads under those that allow it.
fn case(class: &str, name: &str, case: fn(StartMethod)) -> Trial {
    bounded(format!("python::{class}::{name}"), move || {
        StartMethod::ALL.into_iter().for_each(case);
        std::thread::scope(|scope| {
            let (done, is_done) = mpsc::channel::<()>();
            scope.spawn(move || is_done.recv());
            [StartMethod::Spawn, StartMethod::ForkServer].into_iter().for_each(case);
            drop(done);
        });
        Ok(())
    })
}

/// The cases of a class, each named after its function.
macro_rules! cases {
    ($class:literal: $($case:ident),+ $(,)?) => {
        vec![$(crate::python::case($class, stringify!($case), $case)),+]
    };
}
use cases;
