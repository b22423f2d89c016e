//! The `proclab` program: child entry, then the command line.

fn main() -> std::process::ExitCode {
    proclab::child_entry();
    proclab::cli::main()
}
