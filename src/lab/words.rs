//! The first word of a lab's command: which program it means on this machine.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The command with its program found: `proclab` is this program, and `python3` the interpreter itself where the first
/// one in `PATH` is a script that looks for it, whose many processes would be part of every exploration.
pub fn resolved(argv: &[String]) -> Vec<String> {
    let mut argv = argv.to_vec();
    let Some(program) = argv.first_mut() else { return argv };
    let found = match program.as_str() {
        "proclab" => std::env::current_exe().ok(),
        "python3" => interpreter(program),
        _ => None,
    };
    if let Some(found) = found {
        *program = found.to_string_lossy().into_owned();
    }
    argv
}

/// The first program of this name in `PATH` that is no script; nothing if that is the first of all.
fn interpreter(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let all: Vec<PathBuf> =
        std::env::split_paths(&path).map(|folder| folder.join(name)).filter(|path| path.is_file()).collect();
    let first = all.iter().position(|path| is_binary(path))?;
    (first > 0).then(|| all[first].clone())
}

fn is_binary(path: &Path) -> bool {
    let mut head = [0; 4];
    File::open(path).and_then(|mut file| file.read_exact(&mut head)).is_ok() && head == *b"\x7fELF"
}
