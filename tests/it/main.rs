//! The integration tests: one binary, on the main thread, for `fork` is refused where a second one lives.
#![expect(clippy::print_stdout, reason = "a test says what it leaves out, and why")]

mod explore;
mod model;
mod net;
mod queue;
mod watch;

fn main() {
    proclab::child_entry();
    let mut args = libtest_mimic::Arguments::from_args();
    args.test_threads = Some(1);
    let trials = [explore::tests(), net::tests(), queue::tests(), watch::tests()];
    libtest_mimic::run(&args, trials.into_iter().flatten().collect()).exit();
}
