//! The integration tests: one binary, on the main thread.

mod explore;
mod model;

fn main() {
    proclab::child_entry();
    let mut args = libtest_mimic::Arguments::from_args();
    args.test_threads = Some(1);
    libtest_mimic::run(&args, explore::tests()).exit();
}
