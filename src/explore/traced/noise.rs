//! Noise: what the user has excluded from the comparison of outcomes. It is recorded nevertheless.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::path::Path;

use glob::{MatchOptions, Pattern};
use serde::{Deserialize, Serialize};

use super::outcome::Outcome;
use super::scratch::Tree;

/// What is noise.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoiseRules {
    /// Files whose path in the folder matches one of these patterns, or that are in a folder that matches one. A pattern
    /// without `/` matches a name anywhere, as in `.gitignore`.
    pub files: Vec<String>,
    /// Whether standard output and error are noise.
    pub output: bool,
}

impl NoiseRules {
    /// Checks a pattern.
    ///
    /// # Errors
    /// What is wrong with the pattern.
    pub fn check(pattern: &str) -> Result<(), String> {
        Pattern::new(pattern.trim_end_matches('/')).map(drop).map_err(|error| error.to_string())
    }

    /// Separates the noise in `outcome`.
    pub(super) fn set_aside(&self, outcome: &mut Outcome) {
        if self.output {
            outcome.noise.stdout = std::mem::take(&mut outcome.stdout);
            outcome.noise.stderr = std::mem::take(&mut outcome.stderr);
        }
        if self.files.is_empty() {
            return;
        }
        let patterns: Vec<Pattern> = self
            .files
            .iter()
            .filter_map(|pattern| Pattern::new(pattern.trim_end_matches('/')).ok())
            .collect();
        let (noise, files): (Tree, Tree) = std::mem::take(&mut outcome.files)
            .into_iter()
            .partition(|(path, _)| patterns.iter().any(|pattern| covers(pattern, path)));
        (outcome.files, outcome.noise.files) = (files, noise);
    }
}

fn covers(pattern: &Pattern, path: &Path) -> bool {
    let options = MatchOptions { require_literal_separator: true, ..MatchOptions::new() };
    let is_name = !pattern.as_str().contains('/');
    path.ancestors().take_while(|path| !path.as_os_str().is_empty()).any(|path| match path.file_name() {
        Some(name) if is_name => pattern.matches_path_with(Path::new(name), options),
        _ => pattern.matches_path_with(path, options),
    })
}

/// The noise of an outcome. All values are equal.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Noise {
    /// What each process wrote to standard output.
    pub stdout: BTreeMap<String, Vec<u8>>,
    /// What each process wrote to standard error.
    pub stderr: BTreeMap<String, Vec<u8>>,
    /// Files.
    pub files: Tree,
}

impl PartialEq for Noise {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Noise {}

impl PartialOrd for Noise {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Noise {
    fn cmp(&self, _: &Self) -> Ordering {
        Ordering::Equal
    }
}

impl Hash for Noise {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

#[cfg(test)]
mod tests {
    use super::super::scratch::{Entry, Kind};
    use super::*;

    fn left(paths: &[&str], output: &str) -> Outcome {
        let file =
            |path: &&str| ((*path).into(), Entry { mode: 0o644, kind: Kind::File(path.as_bytes().to_vec()) });
        let stdout = BTreeMap::from([("root".to_owned(), output.as_bytes().to_vec())]);
        Outcome { files: paths.iter().map(file).collect(), stdout, ..Outcome::default() }
    }

    #[test]
    fn outcomes_that_differ_in_noise_are_one_and_keep_it() {
        let rules = NoiseRules { files: vec!["log/*".into(), "*.tmp".into(), "cache/".into()], output: true };
        let mut one = left(&["stock", "log/a", "log/deep/b", "x/y.tmp", "cache/c"], "one");
        let mut other = left(&["stock"], "other");
        assert_ne!(one, other);
        rules.set_aside(&mut one);
        rules.set_aside(&mut other);
        assert_eq!(one, other);
        assert_eq!((one.files.len(), one.noise.files.len()), (1, 4));
        assert_eq!(one.written(0)["root"], b"one");
        let mut more = left(&["stock", "logs/a"], "one");
        rules.set_aside(&mut more);
        assert_ne!(one, more);
    }

    #[test]
    fn a_pattern_that_is_none_is_refused() {
        assert!(NoiseRules::check("log/*").is_ok() && NoiseRules::check("a[").is_err());
    }
}
