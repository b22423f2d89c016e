//! Which programs the words of a lab's command name on this machine.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The command with its programs found. The word `proclab`, wherever it stands by itself, is this program, so that a lab's
/// script can be given it as an argument. `python3` as the first word is the interpreter itself: where the first one in
/// `PATH` is a script that looks for it, the processes of that script would be part of every exploration.
pub fn resolved(argv: &[String]) -> Vec<String> {
    let this = std::env::current_exe().ok();
    let mut argv = argv.to_vec();
    for (at, word) in argv.iter_mut().enumerate() {
        let found = match word.as_str() {
            "proclab" => this.clone(),
            "python3" if at == 0 => interpreter(word),
            _ => None,
        };
        if let Some(found) = found {
            *word = found.to_string_lossy().into_owned();
        }
    }
    argv
}

/// Whether a program of this name is in `PATH`.
pub fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// The first program of this name in `PATH` that is not a script; `None` if that is the first of all.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_proclab_is_this_program_wherever_it_stands_alone() {
        let this = std::env::current_exe().unwrap().to_string_lossy().into_owned();
        let words = ["sh", "proclab", "proclab-x", "the proclab"].map(str::to_owned);
        assert_eq!(resolved(&words), ["sh", this.as_str(), "proclab-x", "the proclab"]);
    }
}
