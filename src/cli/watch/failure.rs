//! What can go wrong with a watch, as one line and a hint.

use std::fmt;
use std::io;
use std::path::Path;

use crate::observe::tier::Tier;
use crate::observe::watch::WatchError;
use crate::process::CommandError;

/// One line that says what failed and why, and one that names the fix.
#[derive(Debug)]
pub(super) struct Failure {
    what: String,
    hint: String,
}

impl Failure {
    pub(super) fn system(error: io::Error) -> Self {
        let hint = match error.raw_os_error() {
            Some(nix::libc::EMFILE | nix::libc::ENFILE) => "raise the limit of open files: `ulimit -n 4096`",
            _ => "the system refused; try again, or watch fewer processes",
        };
        Self { what: format!("cannot watch: {error}"), hint: hint.to_owned() }
    }

    pub(super) fn json(error: serde_json::Error) -> Self {
        Self { what: format!("the report cannot be written: {error}"), hint: "use --format text".to_owned() }
    }

    pub(super) fn file(path: &Path, error: &io::Error) -> Self {
        let hint = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                "the disk is full: free some room, or give a path on another disk"
            }
            io::ErrorKind::NotFound => "make the folder first",
            io::ErrorKind::PermissionDenied => "give a path that you may write to",
            _ => "give another path",
        };
        Self { what: format!("cannot write {}: {error}", path.display()), hint: hint.to_owned() }
    }
}

impl From<CommandError> for Failure {
    fn from(error: CommandError) -> Self {
        let hint = match &error {
            CommandError::NotFound { .. } => "check the spelling, or give the program's path",
            CommandError::NotExecutable { .. } => {
                "make it executable with `chmod +x`, or name its interpreter"
            }
            CommandError::Nul { .. } => "leave the NUL byte out",
            _ => "the system refused: check `ulimit -u`",
        };
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        Self { what: format!("cannot run the command: {error}{cause}"), hint: hint.to_owned() }
    }
}

impl From<WatchError> for Failure {
    fn from(error: WatchError) -> Self {
        let hint = match error {
            WatchError::Command(error) => return error.into(),
            WatchError::Os(error) => return Self::system(error),
            WatchError::NoProcess { .. } => "list the processes with `ps -ef`",
            WatchError::NotYours { .. } => "watch a process of your own, or use sudo",
            WatchError::Tier { tier: Tier::Root, .. } => "use sudo, or leave --tier out to take the best one",
            WatchError::Tier { .. } => "leave --tier out to take the best one that can be had",
        };
        Self { what: error.to_string(), hint: hint.to_owned() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}\nhint: {}", self.what, self.hint)
    }
}
