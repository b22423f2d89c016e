//! The `proclab` program: child entry, then the command line.

fn main() -> std::process::ExitCode {
    proclab::main()
}
