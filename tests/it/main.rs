//! The integration tests: one binary, on the main thread, for `fork` is refused where a second one lives.

mod explore;
mod model;
mod net;
mod queue;

fn main() {
    proclab::child_entry();
    let mut args = libtest_mimic::Arguments::from_args();
    args.test_threads = Some(1);
    let trials = [explore::tests(), net::tests(), queue::tests()].into_iter().flatten().collect();
    libtest_mimic::run(&args, trials).exit();
}
