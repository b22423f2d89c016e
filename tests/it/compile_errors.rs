//! Mistakes that do not compile, and what the compiler says: at the line of the mistake, and with what to do.
//!
//! Each file in `tests/compile_errors` has a mistake. Its line ends with `//~`, and the comments that begin so behind it
//! are parts of the compiler's message. `//~ build` says that `cargo check` does not report it, for it lies in the size
//! of a type.

use crate::common::trials;
use libtest_mimic::Trial;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) fn tests() -> Vec<Trial> {
    trials!["compile_errors": each_mistake_is_reported_at_its_line_with_what_to_do]
}

/// The newest build of the library, which is the one that this test uses.
fn library() -> Option<PathBuf> {
    let folder = std::env::current_exe().ok()?.parent()?.to_owned();
    let files = fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let is_library = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.starts_with("libproclab-") && name.ends_with(".rlib")
    };
    files.filter(is_library).max_by_key(|path| fs::metadata(path).and_then(|meta| meta.modified()).ok())
}

fn each_mistake_is_reported_at_its_line_with_what_to_do() {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let (Some(library), true) = (library(), Command::new(&rustc).arg("--version").output().is_ok()) else {
        return println!("left out: there is no rustc here");
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compile_errors");
    let scratch = proclab::Scratch::new().unwrap();
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let place =
            text.lines().position(|line| line.trim_end().ends_with("//~")).expect("a marked line") + 1;
        let expected: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("//~ ")).collect();
        let is_built = expected.contains(&"build");
        let output = Command::new(&rustc)
            .args(["--edition", "2024", "--crate-name", "mistake", "-o"])
            .arg(scratch.path().join("out"))
            .arg(if is_built { "--emit=obj" } else { "--emit=metadata" })
            .arg("-L")
            .arg(format!("dependency={}", library.parent().unwrap().display()))
            .arg("--extern")
            .arg(format!("proclab={}", library.display()))
            .arg(&path)
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        let name = path.file_name().unwrap().to_string_lossy();
        assert!(!output.status.success(), "{name} compiles");
        assert!(told.contains(&format!("{name}:{place}:")), "{name} is reported elsewhere:\n{told}");
        for part in expected.into_iter().filter(|part| *part != "build") {
            assert!(told.contains(part), "{name}: `{part}` is not in\n{told}");
        }
        count += 1;
    }
    assert!(count >= 9, "{count}");
}
