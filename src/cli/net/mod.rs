//! `proclab net`: the network programs, one end at a time or both as a demo.

mod args;
mod demo;
mod print;
mod run;
mod show;
mod text;

pub(crate) use args::NetArgs;
pub(crate) use run::run;
