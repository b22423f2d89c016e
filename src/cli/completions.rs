//! `proclab completions SHELL`: the script that makes a shell complete `proclab`'s arguments.

use super::output;
use clap::{Args, Command};
use clap_complete::Shell;
use std::process::ExitCode;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  proclab completions bash > ~/.local/share/bash-completion/completions/proclab"
)]
pub(crate) struct CompletionsArgs {
    /// Which shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Runs `proclab completions …` for the program's `command`.
pub(crate) fn run(args: &CompletionsArgs, command: &mut Command) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, command, "proclab", &mut script);
    match output::write(&String::from_utf8_lossy(&script)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => fault.report(),
    }
}
