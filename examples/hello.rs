//! A function in a real child process, under each of the three start methods.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use proclab::{Process, StartMethod, Supervisor};

fn square(n: u64) -> (u64, u32, u32) {
    (n * n, std::process::id(), std::os::unix::process::parent_id())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    proclab::child_entry();
    println!("I am PID {}", std::process::id());
    let supervisor = Supervisor::new()?;
    for method in [StartMethod::Fork, StartMethod::Spawn, StartMethod::ForkServer] {
        let child = supervisor.start(Process::new(square).args(12).start_method(method))?;
        let (result, pid, ppid) = child.result()?;
        println!("{method:<10} 12² = {result} in PID {pid}, a child of {ppid}: {}", child.join()?);
    }
    Ok(())
}
