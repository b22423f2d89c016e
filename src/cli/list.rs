//! `proclab list`: what can be run, one line each.

use super::output;
use crate::scenario::life::Lesson;
use std::process::ExitCode;

/// Everything that can be run, how, and what it is; nothing where the lessons are named.
const LINES: [(&str, &str); 12] = [
    ("run tickets", "the ticket sale: buyers race for the stock in a file, with and without a lock"),
    ("run pipeline", "producers and consumers around a bounded queue: ends, kills, leases, deadlock"),
    ("run eval EXPR", "a child evaluates, and the answer comes out of a queue"),
    ("run full", "putting into a full queue blocks until something is taken out"),
    ("run life LESSON", ""),
    ("trials tickets", "many free sales: how often what came of them"),
    ("explore tickets", "every interleaving of the sale's steps, counted; --cabinet for twelve locks"),
    ("explore pipeline", "every interleaving of producers and consumers at a queue"),
    ("replay TOKEN", "one of those schedules again, on real processes"),
    ("watch -- COMMAND", "any program: who runs, who is ready, who is blocked on what"),
    ("bench WORK", "start queue: this library and its peers on the same work, as ratios"),
    ("net DEMO demo", "chat udp sticky frames file echo upper auth: the network programs, both ends"),
];

pub(crate) fn list() -> ExitCode {
    let lessons = Lesson::ALL.map(Lesson::name).join(" ") + " all";
    let about = |about: &'static str| if about.is_empty() { lessons.as_str() } else { about };
    let lines = LINES.map(|(what, told)| format!("{what:<18} {}\n", about(told)));
    match output::write(&lines.concat()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => fault.report(),
    }
}
