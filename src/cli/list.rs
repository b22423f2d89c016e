//! `proclab list`: what can be run, one line each.

use anstream::println;
use std::process::ExitCode;

/// Everything that can be run, how, and what it is.
const LINES: [(&str, &str); 4] = [
    ("run tickets", "the ticket sale: buyers race for the stock in a file, with and without a lock"),
    (
        "run life LESSON",
        "tree isolation join terminate daemon non-daemon zombie orphan states parallel blocking",
    ),
    ("watch -- COMMAND", "any program: who runs, who is ready, who is blocked on what"),
    ("net DEMO demo", "chat udp sticky frames file echo upper auth: the network programs, both ends"),
];

pub(crate) fn list() -> ExitCode {
    for (what, about) in LINES {
        println!("{what:<18} {about}");
    }
    ExitCode::SUCCESS
}
