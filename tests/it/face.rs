//! The public face of the library: a list of it that a change must change too, and what is asked of each part.
//!
//! It is read from the source: the lints `unreachable_pub` and `missing_docs` see to it that what is `pub` there is
//! public.

use crate::common::trials;
use libtest_mimic::Trial;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

pub(crate) fn tests() -> Vec<Trial> {
    trials!["face":
        the_public_api_is_the_one_that_is_listed,
        each_public_function_has_an_example,
        no_two_public_types_have_one_name,
    ]
}

/// What `lib.rs` makes public, except the explorer and the observer, which are features of their own.
const ROOMS: [&str; 10] = [
    "process",
    "supervisor",
    "sync",
    "queue",
    "pool",
    "pipe",
    "wait",
    "wire/handle.rs",
    "sys/limit.rs",
    "sys/pid.rs",
];
const LIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/api.txt");
/// Set, it has the list written anew.
const WRITE: &str = "PROCLAB_WRITE_API";

/// Something public.
#[derive(Debug, Clone)]
struct Item {
    file: String,
    /// The block that it is in, such as `impl Pool`.
    block: String,
    signature: String,
    is_hidden: bool,
    has_example: bool,
}

fn sources(place: &Path) -> Vec<PathBuf> {
    if place.is_file() {
        return vec![place.to_owned()];
    }
    let mut all: Vec<PathBuf> =
        fs::read_dir(place).unwrap().flat_map(|entry| sources(&entry.unwrap().path())).collect();
    all.retain(|file| {
        let name = file.file_name().unwrap().to_string_lossy();
        name.ends_with(".rs") && !name.contains("tests") && !name.contains("order")
    });
    all.sort();
    all
}

fn items() -> Vec<Item> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = ROOMS.iter().flat_map(|room| sources(&source.join(room)));
    files
        .flat_map(|file| {
            let name = file.strip_prefix(&source).unwrap().display().to_string();
            items_of(&name, &fs::read_to_string(&file).unwrap())
        })
        .collect()
}

/// The public items of a file, as rustfmt lays it out: a block begins and ends at the left margin, and what is in it is
/// indented once (twice in a macro).
fn items_of(file: &str, text: &str) -> Vec<Item> {
    let mut items = Vec::new();
    let (mut block, mut is_hidden, mut has_example) = (String::new(), false, false);
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let code = line.trim_start();
        let margin = line.len() - code.len();
        match code {
            "#[cfg(test)]" if margin == 0 => break,
            _ if code.starts_with("///") => has_example |= code.contains("```"),
            _ if code.starts_with("#[") => is_hidden |= code.contains("doc(hidden)"),
            "" => (is_hidden, has_example) = (false, false),
            _ => {
                let is_block =
                    ["impl", "unsafe impl", "macro_rules!", "pub trait", "pub unsafe trait", "pub enum"];
                let opens = margin == 0 && is_block.iter().any(|word| code.starts_with(word));
                let is_member = margin == if block.starts_with("macro_rules!") { 8 } else { 4 };
                let by_block = is_member
                    && (block.starts_with("pub enum") || block.contains("trait "))
                    && code.starts_with(|c: char| c.is_ascii_uppercase() || "fct".contains(c));
                let is_public = code.starts_with("pub ") && (margin == 0 || is_member);
                let is_impl = opens && code.contains(" for ");
                if opens || is_public || by_block {
                    let signature = signature(code, &mut lines);
                    if opens {
                        block.clone_from(&signature);
                    } else if margin == 0 {
                        block.clear();
                    }
                    if is_public || by_block || is_impl {
                        let block = if margin == 0 { String::new() } else { block.clone() };
                        let file = file.to_owned();
                        items.push(Item { file, block, signature, is_hidden, has_example });
                    }
                }
                (is_hidden, has_example) = (false, false);
            }
        }
    }
    items
}

/// A declaration in one line, without its body.
fn signature<'a>(first: &str, rest: &mut impl Iterator<Item = &'a str>) -> String {
    let mut whole = first.to_owned();
    let is_over =
        |text: &str| text.ends_with(['{', ';', '}']) || (text.ends_with(',') && !text.contains("fn "));
    while !is_over(&whole) {
        let Some(next) = rest.next() else { break };
        whole = format!("{whole} {}", next.trim());
    }
    let end = match whole.find(" = ") {
        Some(value) if whole.contains("const ") => value,
        _ if whole.starts_with("pub use") => whole.len(),
        _ => whole.trim_end_matches([' ', '{', ';', ',', '}']).len(),
    };
    whole[..end].to_owned()
}

/// The name of a type, trait or function that an item declares.
fn declares<'a>(item: &'a Item, kinds: &[&str]) -> Option<&'a str> {
    let words =
        item.signature.trim_start_matches("pub ").trim_start_matches("unsafe ").trim_start_matches("const ");
    let name = kinds.iter().find_map(|kind| words.strip_prefix(kind)?.strip_prefix(' '))?;
    name.split(|c: char| !c.is_alphanumeric() && c != '_').next()
}

const TYPES: [&str; 4] = ["struct", "enum", "trait", "type"];

/// The names that `lib.rs` and the rooms export; what a public module declares is exported with it.
fn exported() -> BTreeSet<String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let rooms = ROOMS.iter().flat_map(|room| sources(&source.join(room)));
    let files = rooms.filter(|file| file.ends_with("mod.rs")).chain([source.join("lib.rs")]);
    let mut names = BTreeSet::new();
    for file in files {
        let text = fs::read_to_string(file).unwrap();
        for statement in text.split("\npub use ").skip(1) {
            let statement = statement.split(';').next().unwrap();
            let words = statement.split(|c: char| !c.is_alphanumeric() && c != '_');
            names.extend(words.filter(|word| !word.is_empty()).map(str::to_owned));
        }
    }
    names
}

/// Whether an item of this name in this file is exported.
fn is_exported(file: &str, name: &str, exported: &BTreeSet<String>) -> bool {
    let is_module = ["error.rs", "mod.rs", "file_lock.rs"].iter().any(|public| file.ends_with(public));
    exported.contains(name) || (is_module && !file.starts_with("process") && !file.starts_with("pool"))
}

fn public_types(items: &[Item]) -> BTreeMap<String, Vec<String>> {
    let exported = exported();
    let mut types = BTreeMap::<String, Vec<String>>::new();
    let at_margin = items.iter().filter(|item| item.block.is_empty() && !item.is_hidden);
    for item in at_margin
        .filter(|item| declares(item, &TYPES).is_some_and(|name| is_exported(&item.file, name, &exported)))
    {
        if let Some(name) = declares(item, &TYPES) {
            types.entry(name.to_owned()).or_default().push(item.file.clone());
        }
    }
    types
}

/// The implementations of private types are not part of the API.
fn is_of_public_type(item: &Item, types: &BTreeMap<String, Vec<String>>) -> bool {
    let header = if item.block.is_empty() { &item.signature } else { &item.block };
    let Some(header) = header.strip_prefix("unsafe ").unwrap_or(header).strip_prefix("impl") else {
        return true;
    };
    let of = header.split(" for ").last().unwrap();
    let names: BTreeSet<&str> = of.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    types.keys().any(|name| names.contains(name.as_str()))
}

fn the_public_api_is_the_one_that_is_listed() {
    let items = items();
    let types = public_types(&items);
    let shown = items.iter().filter(|item| !item.is_hidden && is_of_public_type(item, &types));
    let lines: BTreeSet<String> = shown
        .map(|item| {
            let room = item.file.split('/').next().unwrap();
            let block = if item.block.is_empty() { String::new() } else { format!("{} {{ ", item.block) };
            format!("{room}: {block}{}\n", item.signature)
        })
        .collect();
    let found: String = lines.iter().map(String::as_str).collect();
    if std::env::var_os(WRITE).is_some() {
        fs::write(LIST, &found).unwrap();
    }
    let listed = fs::read_to_string(LIST).unwrap_or_default();
    let listed: BTreeSet<String> = listed.lines().map(|line| format!("{line}\n")).collect();
    let new: String = lines.difference(&listed).map(|line| format!("+ {line}")).collect();
    let gone: String = listed.difference(&lines).map(|line| format!("- {line}")).collect();
    assert!(
        new.is_empty() && gone.is_empty(),
        "the public API differs from tests/it/api.txt: if it is meant to, set {WRITE}=1 once, and say so in the \
         changelog\n{gone}{new}"
    );
}

fn each_public_function_has_an_example() {
    let items = items();
    let types = public_types(&items);
    let functions = items.iter().filter(|item| {
        let is_function = item.signature.split('(').next().unwrap().contains("fn ");
        let is_of_trait = item.block.contains(" for ");
        // The rest of `sync` and what `tokio` adds are shown by the examples of their types.
        let is_shown =
            ["process", "supervisor", "queue", "pool", "pipe"].iter().any(|room| item.file.starts_with(room));
        is_shown && is_function && !is_of_trait && !item.is_hidden && is_of_public_type(item, &types)
    });
    let without: Vec<String> = functions
        .filter(|item| !item.has_example)
        .map(|item| format!("{}: {} {}", item.file, item.block, item.signature))
        .collect();
    assert!(without.is_empty(), "{} without an example:\n{}", without.len(), without.join("\n"));
}

fn no_two_public_types_have_one_name() {
    let mut types = public_types(&items());
    types.retain(|_, files| files.len() > 1);
    // An operation's own error may be called as that of another room's: `queue::error` is a module for that reason.
    assert!(types.is_empty(), "{types:?}");
}
