//! The integration tests: one binary, on the main thread.

mod common;
mod explore;
mod lifecycle;
mod model;
mod process;
mod run_cli;
mod supervisor;
mod tidy;

fn main() {
    if lifecycle::is_forgetful() {
        // As a program would that has never heard of `child_entry`.
        return lifecycle::forget_the_child_entry();
    }
    proclab::child_entry();
    let mut args = libtest_mimic::Arguments::from_args();
    args.test_threads = Some(1);
    let tests = [
        tidy::tests(),
        process::tests(),
        lifecycle::tests(),
        supervisor::tests(),
        run_cli::tests(),
        explore::tests(),
    ];
    libtest_mimic::run(&args, tests.into_iter().flatten().collect()).exit();
}
