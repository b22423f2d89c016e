//! Rules for the source code: which module may use which, and what only one place may do.

use crate::circles::no_two_files_use_each_other;
use crate::common::trials;
use libtest_mimic::Trial;
use std::fs;
use std::path::{Path, PathBuf};

pub(crate) fn tests() -> Vec<Trial> {
    trials!["tidy":
        a_module_uses_only_its_own_layer_and_those_below,
        no_two_files_use_each_other,
        only_sys_makes_raw_system_calls,
        each_library_that_may_be_replaced_is_named_in_one_file,
        files_are_short,
        unsafe_code_says_why,
        nothing_is_ignored_and_nothing_is_left_to_do,
        only_the_command_line_prints,
        a_scenario_is_named_in_its_own_room_and_in_the_registry_only,
        a_network_program_is_named_in_its_own_folder_and_in_the_registry_only,
        each_row_of_a_table_has_as_many_cells_as_its_head,
        each_function_of_the_runtime_has_an_example,
    ]
}

/// The layers, lowest first.
const LAYERS: [&[&str]; 10] = [
    &["events", "said", "sys", "wait", "wire"],
    &["shm"],
    &["process", "sync"],
    &["pipe", "pool", "queue", "supervisor"],
    &["explore", "observe", "store", "tokio"],
    &["net", "scenario"],
    &["lab"],
    &["report"],
    &["cli", "serve"],
    &["main", "lib"],
];

pub(crate) struct Source {
    /// Its path under `src`.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    /// The top-level module that it belongs to.
    fn module(&self) -> &str {
        let first = self.path.split('/').next().unwrap();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// Its lines of code, without comments and unit tests.
    fn code(&self) -> impl Iterator<Item = &str> {
        let code = self.text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        code.lines().filter(|line| !line.trim_start().starts_with("//"))
    }

    pub(crate) fn is_test(&self) -> bool {
        self.path.ends_with("tests.rs")
    }
}

pub(crate) fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let (inner, files): (Vec<PathBuf>, Vec<PathBuf>) = paths.partition(|path| path.is_dir());
        folders.extend(inner);
        found.extend(files.into_iter().filter(|path| path.extension().is_some_and(|it| it == "rs")).map(
            |path| Source {
                text: fs::read_to_string(&path).unwrap(),
                path: path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned(),
            },
        ));
    }
    assert!(found.len() > 100, "the sources are found: {}", found.len());
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// The modules that a line names as `crate::module`, or as several in braces.
fn uses(line: &str) -> Vec<&str> {
    let names = line.split("crate::").skip(1).flat_map(|after| {
        let group = after.strip_prefix('{').map(|group| group.split('}').next().unwrap_or(group));
        // In braces, only a name after the brace or a comma is a top-level module. Nested groups are not handled,
        // because the formatter's style has none.
        group.map_or_else(|| vec![after], |group| group.split(", ").collect())
    });
    names.map(|name| name.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap()).collect()
}

fn none(rule: &str, broken: &[String]) {
    assert!(broken.is_empty(), "{rule}:\n{}", broken.join("\n"));
}

fn a_module_uses_only_its_own_layer_and_those_below() {
    assert_eq!(uses("use crate::sys::{pidfd, task};"), ["sys"]);
    assert_eq!(uses("use crate::{sys, wire::codec};"), ["sys", "wire"]);
    assert_eq!(uses("    crate::cli::main()"), ["cli"]);
    let mut broken = Vec::new();
    for source in sources() {
        let own = layer_of(source.module()).unwrap_or_else(|| panic!("{} has no layer", source.path));
        for line in source.code() {
            // Exports at the root (macros, items of the API) are not modules.
            let above = uses(line).into_iter().filter(|used| layer_of(used).is_some_and(|used| used > own));
            broken.extend(above.map(|_| format!("src/{}: {}", source.path, line.trim())));
        }
    }
    none("a module uses one of a layer above its own", &broken);
}

fn naming<'a>(sources: &'a [Source], what: &str) -> Vec<&'a Source> {
    sources
        .iter()
        .filter(|source| !source.is_test() && source.code().any(|line| line.contains(what)))
        .collect()
}

/// The files besides `sys` that may name `nix` or `libc`, and why.
const AT_THE_EDGE: [(&str, &str); 13] = [
    ("explore/traced/", "knows system calls and their arguments by the kernel's numbers"),
    ("shm/region.rs", "reads and writes memory that is mapped, by calls that cannot fault"),
    ("queue/process_id.rs", "tells the kernel's error numbers apart"),
    ("observe/lives.rs", "knows a signal by its number"),
    ("observe/waits/fifo.rs", "knows system calls and their flags by their numbers"),
    ("observe/watch/breakers.rs", "knows signals by their numbers"),
    ("observe/switches.rs", "tells the kernel's error numbers apart"),
    ("observe/tier.rs", "tells the kernel's error numbers apart"),
    ("observe/waits/lock.rs", "knows the operations of futexes by their numbers"),
    ("observe/waits/probe.rs", "knows system calls by their numbers"),
    ("observe/waits/pthread.rs", "knows the operations of futexes by their numbers"),
    ("observe/waits/restarted.rs", "knows system calls and the operations of futexes by their numbers"),
    ("observe/watch/attach.rs", "tells the kernel's error numbers apart"),
];

fn only_sys_makes_raw_system_calls() {
    let names = |line: &str, library: &str| {
        line.match_indices(library).any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric()))
    };
    let mut broken = Vec::new();
    for source in sources().iter().filter(|source| source.module() != "sys" && !source.is_test()) {
        let is_excused = AT_THE_EDGE.iter().any(|(path, _)| source.path.starts_with(path));
        let found = ["nix::", "libc::", "rustix::", "syscall("].into_iter().filter(|_| !is_excused);
        for library in found.filter(|library| source.code().any(|line| names(line, library))) {
            broken.push(format!("src/{}: {library}", source.path));
        }
    }
    none("the kernel is spoken to outside of src/sys", &broken);
}

fn each_library_that_may_be_replaced_is_named_in_one_file() {
    let sources = sources();
    for (library, place) in
        [("bincode", "wire/codec.rs"), ("fs2", "sync/file_lock.rs"), ("ipc_channel", "wire/control.rs")]
    {
        for name in [format!("{library}::"), format!("use {library}")] {
            let broken: Vec<String> = naming(&sources, &name)
                .into_iter()
                .filter(|source| source.path != place)
                .map(|source| source.path.clone())
                .collect();
            none(&format!("{library} is named outside of {place}"), &broken);
        }
    }
}

fn files_are_short() {
    let long = sources().into_iter().filter(|source| source.code().count() > 600);
    none("a file has more than 600 lines", &long.map(|source| source.path).collect::<Vec<_>>());
}

fn unsafe_code_says_why() {
    let broken: Vec<String> = sources()
        .into_iter()
        .filter(|source| source.code().any(|line| line.contains("unsafe {") || line.contains("unsafe fn ")))
        .filter(|source| !source.text.contains("//! # Safety"))
        .map(|source| source.path)
        .collect();
    none("unsafe code without a `# Safety` heading", &broken);
}

fn nothing_is_ignored_and_nothing_is_left_to_do() {
    let words = ["#[ignore", " todo!(", "unimplemented!(", "#[allow(", "FIXME", "XXX"];
    let broken: Vec<String> = sources()
        .into_iter()
        .flat_map(|source| {
            let found: Vec<String> = words
                .iter()
                .filter(|word| source.text.contains(**word))
                .map(|word| format!("src/{}: {word}", source.path))
                .collect();
            found
        })
        .collect();
    none("something is ignored, allowed or left to do", &broken);
}

fn only_the_command_line_prints() {
    let sources = sources();
    let allowed = |source: &Source| {
        // A child without a parent, and the entry itself, have no other way to report.
        source.module() == "cli" || source.path == "process/entry.rs"
    };
    let broken: Vec<String> = ["println!(", "eprintln!(", " print!(", "dbg!("]
        .into_iter()
        .flat_map(|word| naming(&sources, word))
        .filter(|source| !allowed(source))
        .map(|source| source.path.clone())
        .collect();
    none("something is printed outside of src/cli", &broken);
}

/// Each scenario, lock and lesson is a folder or a file, and one line of a registry.
fn a_scenario_is_named_in_its_own_room_and_in_the_registry_only() {
    let sources = sources();
    let rooms = ["tickets", "pipeline", "eval", "full", "life"];
    let mut broken = Vec::new();
    for room in rooms {
        let own = format!("scenario/{room}");
        for source in sources.iter().filter(|source| !source.path.starts_with(&own)) {
            let is_registry = source.path == "scenario/registry.rs";
            let named = [format!("scenario::{room}"), format!("super::{room}"), format!(" {room}::")];
            let lines = source.code().filter(|line| named.iter().any(|name| line.contains(name)));
            let lines: Vec<&str> = lines.filter(|_| !is_registry).collect();
            broken.extend(lines.iter().map(|line| format!("src/{}: {}", source.path, line.trim())));
        }
        let registry = sources.iter().find(|source| source.path == "scenario/registry.rs").unwrap();
        let entries = registry
            .code()
            .filter(|line| line.trim_start().starts_with('&') && line.contains(&format!("{room}::")));
        assert_eq!(entries.count(), 1, "{room} has one line in the registry");
    }
    none("a scenario is named outside of its room", &broken);
    for (registry, folder) in [
        ("scenario/tickets/locks/mod.rs", "scenario/tickets/locks/"),
        ("scenario/life/mod.rs", "scenario/life/"),
    ] {
        let text = &sources.iter().find(|source| source.path == registry).unwrap().text;
        for source in
            sources.iter().filter(|source| source.path.starts_with(folder) && source.path != registry)
        {
            let name = source.path.rsplit('/').next().unwrap().trim_end_matches(".rs");
            let is_entry =
                source.text.contains("const RECIPE: Recipe") || source.text.contains("const LESSON: Lesson");
            let lines = text.matches(&format!("    &{name}::")).count();
            assert_eq!(lines, usize::from(is_entry), "{}", source.path);
        }
    }
}

fn a_network_program_is_named_in_its_own_folder_and_in_the_registry_only() {
    let sources = sources();
    let registry = sources.iter().find(|source| source.path == "net/registry.rs").unwrap();
    let lines: Vec<&str> = registry.code().filter(|line| line.trim_start().starts_with("&Of::<")).collect();
    let names = lines.iter().map(|line| line.trim().trim_start_matches("&Of::<").split("::").next().unwrap());
    let names: Vec<&str> = names.collect();
    assert!(names.len() > 8, "{names:?}");
    let mut broken = Vec::new();
    for name in &names {
        assert_eq!(names.iter().filter(|other| other == &name).count(), 1, "{name} has one line");
        let own = [format!("net/{name}/"), format!("net/{name}.rs")];
        let named = format!("net::{name}::");
        let others = sources.iter().filter(|source| !own.iter().any(|own| source.path.starts_with(own)));
        for source in others.filter(|source| source.path != registry.path) {
            // After the proof of the key, `auth` behaves like `upper`.
            let is_sequel = *name == "upper" && source.path == "net/auth/mod.rs";
            // Including the end of the path, so that it does not match the beginning of a longer name.
            let lines = source.code().map(|line| (line, line.replace(';', "::")));
            let lines = lines.filter(|(_, paths)| paths.contains(&named) && !is_sequel).map(|(line, _)| line);
            broken.extend(lines.map(|line| format!("src/{}: {}", source.path, line.trim())));
        }
    }
    none("a network program is named outside of its folder", &broken);
}

fn each_row_of_a_table_has_as_many_cells_as_its_head() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pages = |folder: PathBuf| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let pages = pages(root.to_owned()).chain(pages(root.join("docs")));
    let mut wrong = Vec::new();
    for page in pages.filter(|path| path.extension().is_some_and(|extension| extension == "md")) {
        let (mut cells_of_head, mut is_code) = (None, false);
        for (number, line) in (1..).zip(fs::read_to_string(&page).unwrap().lines()) {
            is_code ^= line.starts_with("```");
            if is_code || !line.starts_with('|') {
                cells_of_head = None;
                continue;
            }
            let cells = line.replace("\\|", "").matches('|').count();
            if *cells_of_head.get_or_insert(cells) != cells {
                wrong.push(format!("{}:{number}: {line}", page.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The rooms whose public functions all have an example, which `cargo test --doc` compiles.
const EXPLAINED: [&str; 6] = ["pipe", "pool", "process", "queue", "supervisor", "sync"];

fn each_function_of_the_runtime_has_an_example() {
    let is_in_the_api = |room: &str, name: &str| {
        let (begin, function) = (format!("{room}: "), format!("fn {name}("));
        let generic = format!("fn {name}<");
        let api = include_str!("api.txt").lines();
        api.filter(|line| line.starts_with(&begin))
            .any(|line| line.contains(&function) || line.contains(&generic))
    };
    let mut broken = Vec::new();
    for source in sources() {
        let room = source.module().to_owned();
        // What is held for the explorer and the observer is not public.
        let is_inner = source.path == "process/command.rs";
        if !EXPLAINED.contains(&room.as_str()) || source.is_test() || is_inner {
            continue;
        }
        let code = source.text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let mut has_example = false;
        for line in code.lines().map(str::trim_start) {
            if line.starts_with("///") {
                has_example |= line.starts_with("/// ```");
            } else if !line.starts_with("#[") {
                let name = line.strip_prefix("pub fn ").and_then(|rest| rest.split(['(', '<']).next());
                if let Some(name) = name.filter(|name| !has_example && is_in_the_api(&room, name)) {
                    broken.push(format!("{}: {name}", source.path));
                }
                has_example = false;
            }
        }
    }
    none("has no example", &broken);
}
