//! No lock: a buyer publishes a new version unless another buyer has published it first.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::none::no_lock;
use super::recipe::{Discipline, Promise, Recipe, Shop};

pub(super) const RECIPE: Recipe = Recipe {
    why: "No buyer waits: it publishes version n+1 unless another buyer has; then it reads again. \
          Publishing is one step (link(2) fails if the name is taken), so a kill leaves the old version or \
          the new.",
    promise: Promise::Right,
    discipline: Discipline::Versions,
    reset,
    ..Recipe::guarded("compare-and-swap", "cs", no_lock)
};

/// Removes all versions but the first.
fn reset(shop: &Shop) -> io::Result<()> {
    let mut version = 1;
    while fs::exists(versioned(&shop.stock, version))? {
        fs::remove_file(versioned(&shop.stock, version))?;
        version += 1;
    }
    Ok(())
}

/// The path of version `version` of the stock.
pub fn versioned(stock: &Path, version: u64) -> PathBuf {
    stock.with_extension(format!("v{version}"))
}

/// Publishes the file `aside` as a version. Returns `false` if another buyer was first: `link(2)` atomically
/// creates a name or fails.
///
/// # Errors
/// The system's error.
pub fn publish(aside: &Path, stock: &Path, version: u64) -> io::Result<bool> {
    let first = match fs::hard_link(aside, versioned(stock, version)) {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
        Err(error) => return Err(error),
    };
    fs::remove_file(aside)?;
    Ok(first)
}
