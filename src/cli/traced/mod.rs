//! `explore`, `trials` and `replay` of any program: what the three share.

pub(super) mod explore;
pub(super) mod replay;

use std::path::PathBuf;

use clap::Args;

use super::fault::Fault;
use crate::explore::traced::{Answer, Command, Limits, Task, carry_out};
use crate::supervisor::Supervisor;

/// Where a program runs.
#[derive(Args, Clone, Debug)]
pub(super) struct Place {
    /// Run in copies of DIR, which itself is never written; `empty` for an empty folder [default: this folder]
    #[arg(long, value_name = "DIR|empty", value_hint = clap::ValueHint::DirPath)]
    dir: Option<PathBuf>,
    /// Also try schedules in which a call with a time limit times out although another process could go on
    #[arg(long)]
    timeouts: bool,
}

impl Place {
    /// The command `argv` in this place.
    pub(super) fn command(&self, argv: &[String]) -> Result<Command, Fault> {
        let directory = match &self.dir {
            Some(dir) if dir.as_os_str() == "empty" => None,
            dir => {
                let dir = dir.clone().unwrap_or_else(|| PathBuf::from("."));
                let path = dir.canonicalize().map_err(|error| {
                    Fault::could_not_run(&error)
                        .context(format!("cannot read {}", dir.display()))
                        .or_hint("give the folder of the program with --dir DIR, or --dir empty")
                })?;
                Some(path)
            }
        };
        let home = std::env::var_os("HOME").and_then(|home| PathBuf::from(home).canonicalize().ok());
        let is_home =
            directory.is_some() && (directory == home || directory.as_deref() == Some("/".as_ref()));
        if is_home && self.dir.is_none() {
            return Err(Fault::bad_arguments(
                "this folder is your home, and it would be copied for every execution",
            )
            .hint("change to the program's folder, or give --dir DIR or --dir empty"));
        }
        Ok(Command { argv: argv.to_vec(), directory, limits: Limits::default(), timeouts: self.timeouts })
    }
}

/// Has the engine carry out `task`.
fn engine(command: Command, task: Task) -> Result<Answer, Fault> {
    let supervisor = Supervisor::new().map_err(|error| Fault::could_not_run(&error))?;
    carry_out(|process| supervisor.start(process), command, task).map_err(|error| {
        let text = error.to_string();
        let fault = Fault::could_not_run(&error);
        if text.contains("ptrace") {
            fault.hint("tracing needs ptrace: allow it in the container (--cap-add SYS_PTRACE, or a seccomp profile that permits it), or set kernel.yama.ptrace_scope to 0 or 1")
        } else if text.contains("copied for every execution") {
            fault.hint("give the program a smaller folder with --dir DIR, or --dir empty")
        } else {
            fault
        }
    })
}
