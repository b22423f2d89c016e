//! The `proclab` program: the entry point of children, then the command line.

fn main() -> std::process::ExitCode {
    proclab::child_entry();
    proclab::cli::main()
}
