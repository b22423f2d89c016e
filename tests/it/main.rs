//! The integration tests: one binary, on the main thread.

mod explore;
mod model;
mod watch;

fn main() {
    proclab::child_entry();
    let mut args = libtest_mimic::Arguments::from_args();
    args.test_threads = Some(1);
    let tests = [explore::tests(), watch::tests()].into_iter().flatten().collect();
    libtest_mimic::run(&args, tests).exit();
}
