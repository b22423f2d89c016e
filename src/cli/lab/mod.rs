//! `proclab lab`: predict, run reality, see the difference, be graded.

mod args;
mod author;
mod check;
mod context;
mod grade;
mod list;
mod reset;
mod screen;
mod session;
mod solution;
mod start;
mod work;

pub(crate) use args::{LabArgs, run};
pub(super) use list::lines;
