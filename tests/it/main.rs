//! The integration tests: one binary, on the main thread.

mod explore;
mod model;
mod queue;

fn main() {
    proclab::child_entry();
    let mut args = libtest_mimic::Arguments::from_args();
    args.test_threads = Some(1);
    let mut trials = explore::tests();
    trials.extend(queue::tests());
    libtest_mimic::run(&args, trials).exit();
}
