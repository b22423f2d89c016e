//! What is saved of an exploration: a schedule or the whole search, with hashes of the program and the folder.

use std::collections::BTreeSet;
use std::hash::Hasher;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::cli::fault::Fault;
use crate::cli::files;
use crate::cli::gate::{could_not, usage};
use crate::explore::traced::{Command, Position, Search, Tree, read_tree, token};
use crate::report::traced::{TracedOutcome, TracedStep};
use crate::wire::codec;

/// The version of the format.
const VERSION: u32 = 1;

/// The content of a file that `explore --save` writes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::cli) struct Saved {
    version: u32,
    /// The command, its folder and the options that its steps depend on.
    pub(super) command: Command,
    /// Hashes (BLAKE3) of the program's file and of the folder.
    program: Option<String>,
    folder: String,
    /// The outcome.
    pub(super) outcome: TracedOutcome,
}

impl Saved {
    /// Creates the file content for the witness of `outcome`.
    pub(super) fn new(command: &Command, outcome: &TracedOutcome) -> Result<Self, Fault> {
        Ok(Self {
            version: VERSION,
            command: Command { facts: facts(command, outcome), ..command.clone() },
            program: program(command),
            folder: folder(command)?,
            outcome: outcome.clone(),
        })
    }

    /// Parses a file.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub(in crate::cli) fn read(bytes: &[u8]) -> Result<Self, String> {
        let saved: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        match saved.version {
            VERSION => Ok(saved),
            version => Err(format!(
                "it has version {version} of the format, and this program reads version {VERSION}"
            )),
        }
    }

    /// The steps.
    pub(super) fn steps(&self) -> &[TracedStep] {
        &self.outcome.witness
    }

    /// What has changed since the file was written.
    pub(super) fn changes(&self, command: &Command) -> Result<Vec<&'static str>, Fault> {
        let mut changes = Vec::new();
        if self.command.argv != command.argv {
            changes.push("the command is different");
        }
        if self.program != program(command) {
            changes.push("the program's file has changed");
        }
        if self.folder != folder(command)? {
            changes.push("the files in the folder have changed");
        }
        if self.command.timeouts != command.timeouts || self.command.strict != command.strict {
            changes.push("the options are different");
        }
        Ok(changes)
    }
}

/// A search that can be continued.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SavedSearch {
    command: Command,
    program: Option<String>,
    folder: String,
    search: Search,
    /// How far it has come, and how long it has taken.
    pub(super) position: Box<Position>,
    pub(super) seconds: f64,
}

/// What a file with a search begins with; the format is that of this version of the program.
const BEGINS: &[u8] = concat!("proclab search ", env!("CARGO_PKG_VERSION"), "\n").as_bytes();
/// The maximum size of such a file, in bytes.
const MAX_SAVED: u64 = 1 << 30;

impl SavedSearch {
    /// Creates the file content for a search.
    pub(super) fn new(
        command: &Command,
        search: &Search,
        position: Box<Position>,
        seconds: f64,
    ) -> Result<Self, Fault> {
        let (program, folder) = (program(command), folder(command)?);
        Ok(Self { command: command.clone(), program, folder, search: search.clone(), position, seconds })
    }

    /// Reads the file, if it exists, and checks that it belongs to this search.
    pub(super) fn read(path: &Path, command: &Command, search: &Search) -> Result<Option<Self>, Fault> {
        let content = match files::read(path, MAX_SAVED) {
            Ok(content) => content,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(could_not(&format!("{} cannot be read", path.display()), &error)),
        };
        let saved: Option<Self> = content.strip_prefix(BEGINS).and_then(|bytes| codec::decode(bytes).ok());
        let Some(saved) = saved else {
            let what = format!("{} is not a search that this version of proclab has saved", path.display());
            return Err(usage(what, "give a file that --resume wrote, or a new name"));
        };
        match saved.differs(command, search)? {
            None => Ok(Some(saved)),
            Some(what) => Err(usage(
                format!("{} belongs to another search: {what}", path.display()),
                "repeat it as it was begun, or give a new name",
            )),
        }
    }

    /// What is different from the search that was saved, if anything.
    fn differs(&self, command: &Command, search: &Search) -> Result<Option<&'static str>, Fault> {
        let kind = |search: &Search| (search.kills, search.preemptions, search.naive);
        let encoded = |command: &Command| codec::encode(command).ok();
        Ok(if self.command.argv != command.argv {
            Some("the command is different")
        } else if encoded(&self.command) != encoded(command) || kind(&self.search) != kind(search) {
            Some("the options are different")
        } else if self.program != program(command) {
            Some("the program's file has changed")
        } else if self.folder != folder(command)? {
            Some("the files in the folder have changed")
        } else {
            None
        })
    }

    /// The content of the file.
    pub(super) fn bytes(&self) -> Result<Vec<u8>, Fault> {
        let encoded = codec::encode(self).map_err(|error| could_not("the search cannot be saved", &error))?;
        Ok([BEGINS, &encoded].concat())
    }
}

/// The facts in the token of the outcome.
fn facts(command: &Command, outcome: &TracedOutcome) -> BTreeSet<String> {
    token::decode(&outcome.token, command).map_or_else(|_| BTreeSet::new(), |(_, facts)| facts)
}

/// A hash of the program's file, if it can be read.
fn program(command: &Command) -> Option<String> {
    let name = command.argv.first()?;
    let from = command.directory.clone().unwrap_or_default();
    let path = if name.contains('/') {
        from.join(name)
    } else {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.is_file())?
    };
    hash_of(&path)
}

fn hash_of(path: &Path) -> Option<String> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(std::fs::File::open(path).ok()?).ok()?;
    Some(hasher.finalize().to_hex().to_string())
}

/// A hash of the folder's names, modes and contents.
fn folder(command: &Command) -> Result<String, Fault> {
    let tree = match &command.directory {
        Some(directory) => {
            read_tree(directory, command.limits.folder).map_err(|error| Fault::could_not_run(&error))?
        }
        None => Tree::new(),
    };
    let mut hasher = Digest(blake3::Hasher::new());
    std::hash::Hash::hash(&tree, &mut hasher);
    Ok(hasher.0.finalize().to_hex().to_string())
}

/// A cryptographic hash as a standard `Hasher`.
struct Digest(blake3::Hasher);

impl Hasher for Digest {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        0
    }
}
