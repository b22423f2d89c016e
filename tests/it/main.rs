//! The integration tests: one binary, on the main thread, because `fork` is refused in a process with several threads.
#![expect(clippy::print_stdout, reason = "a test says what it leaves out, and why")]

mod bench;
mod chosen;
mod circles;
mod common;
mod compile_errors;
mod explore;
mod face;
mod faults;
mod labs;
mod leftovers;
mod lifecycle;
mod model;
mod net;
mod pipelines;
mod pool;
mod pool_kill_points;
mod process;
mod program;
mod python;
mod queue;
mod refused;
mod restart;
mod run_cli;
#[cfg(feature = "serve")]
mod serve;
mod settings;
mod started;
mod storm;
mod supervisor;
mod sync;
mod tidy;
mod traced;
mod traced_checkpoints;
mod traced_classes;
mod traced_jobs;
mod traced_kills;
mod traced_limits;
mod traced_naive;
mod traced_programs;
mod traced_signals;
mod traced_sound;
mod traced_threads;
mod traced_time;
mod traced_verbs;
mod watch;

fn main() {
    if lifecycle::is_forgetful() {
        // Behaves like a program that does not call `child_entry`.
        return lifecycle::forget_the_child_entry();
    }
    #[cfg(feature = "serve")]
    if serve::keeper::is_keeper() {
        return serve::keeper::keep();
    }
    // Children panic on purpose, and their parents check the message: it is not printed.
    let own_pid = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let (print, pid) = (std::panic::take_hook(), own_pid.clone());
    std::panic::set_hook(Box::new(move |info| {
        if pid.load(std::sync::atomic::Ordering::Relaxed) == std::process::id() {
            print(info);
        }
    }));
    settings::start_threads_if_asked();
    proclab::child_entry();
    own_pid.store(std::process::id(), std::sync::atomic::Ordering::Relaxed);
    if settings::is_under_threads() {
        return settings::start_children_under_threads();
    }
    let mut args = libtest_mimic::Arguments::from_args();
    args.test_threads = Some(1);
    let trials = [
        tidy::tests(),
        face::tests(),
        process::tests(),
        compile_errors::tests(),
        lifecycle::tests(),
        supervisor::tests(),
        settings::tests(),
        chosen::tests(),
        pool::tests(),
        restart::tests(),
        storm::tests(),
        run_cli::tests(),
        faults::tests(),
        leftovers::tests(),
        refused::tests(),
        started::tests(),
        bench::tests(),
        pipelines::tests(),
        explore::tests(),
        traced::tests(),
        traced_checkpoints::tests(),
        traced_classes::tests(),
        traced_verbs::tests(),
        traced_programs::tests(),
        traced_jobs::tests(),
        traced_kills::tests(),
        traced_limits::tests(),
        traced_naive::tests(),
        traced_signals::tests(),
        traced_sound::tests(),
        traced_threads::tests(),
        traced_time::tests(),
        labs::tests(),
        net::tests(),
        queue::tests(),
        sync::tests(),
        python::tests(),
        watch::tests(),
        #[cfg(feature = "serve")]
        serve::tests(),
    ];
    libtest_mimic::run(&args, trials.into_iter().flatten().collect()).exit();
}
