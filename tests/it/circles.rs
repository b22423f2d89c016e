//! No two files use each other, so a reader can begin with any file and read downwards.
//!
//! A file's dependencies are read from its `use` lines and its paths. A name that is only re-exported (`pub use`)
//! counts as a use of the file that defines it.

use std::collections::{BTreeMap, BTreeSet};

use crate::tidy::{Source, sources};

/// Files that may use each other, and why. A folder stands for all files in it.
const KNOWN: [(&str, &str); 9] = [
    ("cli/cabinet.rs", "is one of the ways to explore, and explores"),
    ("cli/explore.rs", "offers the cabinet"),
    ("explore/traced/", "the rows of the table of system calls act on the world that holds their plans"),
    ("net/", "a program lies in one folder with its demo, which plays it on the stage that all demos share"),
    ("process/handle.rs", "a child leaves its family when it is reaped"),
    ("process/family.rs", "a family is made of children"),
    (
        "observe/waits/",
        "what a thread waits for is found in the scene, which is made from what threads wait for",
    ),
    ("report/live/", "the rows are selected and sorted as the view says, which holds them"),
    ("wire/", "a channel encodes its messages, and a descriptor travels beside one"),
];

/// The path of a module, from the root of the crate.
type Module = Vec<String>;

struct Crate {
    /// Each file's module, with its code.
    files: BTreeMap<Module, (String, String)>,
    /// The re-exports of each module, and where they are defined.
    handed_on: BTreeMap<(Module, String), Module>,
}

fn module_of(path: &str) -> Module {
    let mut parts: Vec<_> = path.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    parts.pop_if(|last| last == "mod" || (last == "lib" && path == "lib.rs"));
    parts
}

/// The code without comments and unit tests. Modules written in braces count as their file.
fn code_of(source: &Source) -> String {
    let (mut code, mut inside, mut is_test) = (String::new(), false, false);
    for line in source.text.lines() {
        let line = line.split("//").next().unwrap_or_default();
        if line.trim() == "#[cfg(test)]" {
            is_test = true;
            continue;
        }
        // Visibility paths such as `pub(in …)` are not uses.
        let line = &without(line, "pub(in ", ')')
            .replace("pub(crate) use", "pub use")
            .replace("pub(super) use", "pub use");
        let opens = line.ends_with('{') && line.trim_start_matches("pub(super) ").starts_with("mod ");
        inside = (inside || opens) && line != "}";
        if !(is_test && inside) {
            code += &if inside { line.replace("super::", "") } else { line.to_owned() };
            code.push('\n');
        }
        is_test &= inside || line.starts_with('#');
    }
    code
}

/// The text without the parts that begin with `begin` and end with `end`.
fn without(text: &str, begin: &str, end: char) -> String {
    let mut parts = text.split(begin);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |kept, part| kept + part.split_once(end).map_or(part, |(_, after)| after))
}

/// `a::{b, c::{d, e}}` as `a::b`, `a::c::d`, `a::c::e`.
fn expand(path: &str) -> Vec<String> {
    let Some((before, rest)) = path.split_once('{') else { return vec![path.trim().to_owned()] };
    let (mut depth, mut item, mut found) = (0, String::new(), Vec::new());
    for c in rest.chars() {
        match c {
            '}' if depth == 0 => break,
            ',' if depth == 0 => found.append(&mut expand(&std::mem::take(&mut item))),
            _ => {
                depth += i32::from(c == '{') - i32::from(c == '}');
                item.push(c);
            }
        }
    }
    found.append(&mut expand(&item));
    found.retain(|item| !item.is_empty());
    found.iter().map(|item| format!("{}{item}", before.trim())).collect()
}

impl Crate {
    fn read() -> Self {
        let files: BTreeMap<_, _> = sources()
            .iter()
            .filter(|source| !source.is_test())
            .map(|source| (module_of(&source.path), (source.path.clone(), code_of(source))))
            .collect();
        let mut read = Self { files, handed_on: BTreeMap::new() };
        for (module, (_, code)) in &read.files {
            for (path, is_handed_on) in uses(code) {
                let Some(target) = read.absolute(module, &path).filter(|_| is_handed_on) else { continue };
                let name = path.rsplit("::").next().unwrap_or_default();
                let name = name.rsplit(" as ").next().unwrap_or_default().trim().to_owned();
                read.handed_on.insert((module.clone(), name), target);
            }
        }
        read
    }

    /// The path from the root of the crate; `None` for one of another crate.
    fn absolute(&self, module: &Module, path: &str) -> Option<Module> {
        let path = path.split(" as ").next()?;
        let mut parts = path.split("::").map(|part| part.trim().to_owned()).peekable();
        let mut base = module.clone();
        match parts.peek()?.as_str() {
            "crate" => {
                parts.next();
                base = Module::new();
            }
            "self" => {
                parts.next();
            }
            "super" => {
                while parts.next_if_eq("super").is_some() {
                    base.pop();
                }
            }
            child => {
                base.push(child.to_owned());
                let is_child = self.files.contains_key(&base);
                base.pop();
                is_child.then_some(())?;
            }
        }
        base.extend(parts.filter(|part| part != "self"));
        Some(base)
    }

    /// The file that defines what a path names.
    fn file_of(&self, path: &Module) -> Option<&Module> {
        let mut path = path.clone();
        // A name can be re-exported several times.
        for _ in 0..8 {
            let depth = (0..=path.len()).rev().find(|depth| self.files.contains_key(&path[..*depth]))?;
            let module = path[..depth].to_vec();
            let named = path.get(depth).and_then(|name| self.handed_on.get(&(module.clone(), name.clone())));
            match named {
                Some(target) => path = [target, &path[depth + 1..]].concat(),
                None => return self.files.get_key_value(&module).map(|(module, _)| module),
            }
        }
        None
    }

    fn used_by(&self, module: &Module) -> BTreeSet<&Module> {
        let code = &self.files[module].1;
        let named = uses(code).into_iter().filter(|(_, is_handed_on)| !is_handed_on).map(|(path, _)| path);
        let own = without(code, "pub use ", ';');
        let paths = named.chain(paths(&own));
        let absolute = paths.filter_map(|path| self.absolute(module, &path));
        absolute.filter_map(|path| self.file_of(&path)).filter(|used| *used != module).collect()
    }
}

/// The names in the `use` lines, and whether each is re-exported.
fn uses(code: &str) -> Vec<(String, bool)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("use ") {
        let line = code[..at].rsplit('\n').next().unwrap_or_default();
        let is_use = line.trim().is_empty() || (line.trim_start().starts_with("pub") && line.ends_with(' '));
        if let Some((path, _)) = code[at + 4..].split_once(';').filter(|_| is_use) {
            found.extend(expand(path).into_iter().map(|path| (path, !line.trim().is_empty())));
        }
    }
    found
}

/// Every path with `::` in the code, including `use` lines.
fn paths(code: &str) -> impl Iterator<Item = String> {
    let words = code.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
    words.map(|word| word.trim_matches(':')).filter(|word| word.contains("::")).map(str::to_owned)
}

/// The groups of files that use each other, directly or indirectly.
fn circles(uses: &BTreeMap<&Module, BTreeSet<&Module>>) -> Vec<BTreeSet<Module>> {
    let reach = |from: &Module| {
        let (mut seen, mut todo) = (BTreeSet::new(), vec![from.clone()]);
        while let Some(next) = todo.pop() {
            for used in uses.get(&next).into_iter().flatten() {
                if seen.insert((*used).clone()) {
                    todo.push((*used).clone());
                }
            }
        }
        seen
    };
    let reach: BTreeMap<&Module, BTreeSet<Module>> = uses.keys().map(|file| (*file, reach(file))).collect();
    let mut found: Vec<BTreeSet<Module>> = Vec::new();
    for (file, below) in &reach {
        let back = |other: &&Module| reach.get(*other).is_some_and(|its| its.contains(*file));
        let circle: BTreeSet<Module> = below.iter().filter(back).cloned().collect();
        if circle.len() > 1 && !found.contains(&circle) {
            found.push(circle);
        }
    }
    found
}

pub(crate) fn no_two_files_use_each_other() {
    assert_eq!(expand("a::{b, c::{d, e as f}}"), ["a::b", "a::c::d", "a::c::e as f"]);
    let [a, b, c] = ["a", "b", "c"].map(|name| vec![name.to_owned()]);
    let uses = BTreeMap::from([(&a, BTreeSet::from([&b])), (&b, BTreeSet::from([&a, &c]))]);
    assert_eq!(circles(&uses), [BTreeSet::from([a.clone(), b.clone()])]);

    let read = Crate::read();
    let uses: BTreeMap<_, _> = read.files.keys().map(|module| (module, read.used_by(module))).collect();
    assert!(uses.values().map(BTreeSet::len).sum::<usize>() > 1_000, "the uses are found");
    let mut broken = Vec::new();
    for circle in circles(&uses) {
        let paths: Vec<&str> = circle.iter().map(|module| read.files[module].0.as_str()).collect();
        let is_known = |path: &&str| KNOWN.iter().any(|(known, _)| path.starts_with(known));
        if !paths.iter().all(is_known) {
            broken.push(paths.join(", "));
        }
    }
    assert!(broken.is_empty(), "files use each other:\n{}", broken.join("\n"));
}
