//! The integration tests: one binary, on the main thread.

fn main() {
    let mut args = libtest_mimic::Arguments::from_args();
    args.test_threads = Some(1);
    libtest_mimic::run(&args, Vec::new()).exit();
}
