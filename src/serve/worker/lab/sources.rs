//! The student's files in the working folder: what they say, and when they are saved.

use std::path::Path;
use std::time::SystemTime;

use crate::lab::card::Part;
use crate::lab::files::{Files, read_file};
use crate::lab::loaded::Lab;
use crate::lab::program::{marked_file, names};
use crate::lab::question::Kind;
use crate::serve::protocol::LabSource;

/// How much of a file is shown, in bytes.
const SHOWN: usize = 64 << 10;

/// The student's files for a part, as they are now.
pub(super) fn of(folder: &Path, part: &Part, starter: &Files) -> Vec<LabSource> {
    let mut files = Files::default();
    for name in names(part) {
        // One that cannot be read is reported when it is marked.
        if let Ok(bytes) = read_file(&folder.join(&name)) {
            files.0.insert(name, bytes);
        }
    }
    let marked = marked_file(part, &files, starter);
    let source = |(name, bytes): (&String, &Vec<u8>)| LabSource {
        text: String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN)]).into_owned(),
        is_changed: starter.0.get(name) != Some(bytes),
        is_marked: marked.as_ref() == Some(name),
        name: name.clone(),
    };
    files.0.iter().map(source).collect()
}

/// The size and the time of each file of a part.
type Stamps = Vec<Option<(u64, SystemTime)>>;

/// The files of each program part as they were when they were looked at last.
pub(super) struct Saves(Vec<Watched>);

struct Watched {
    part: String,
    /// As they were checked.
    checked: Stamps,
    /// As they were a moment ago: an editor may not have written all of a file yet.
    seen: Stamps,
}

fn stamps(folder: Option<&Path>, part: &Part) -> Stamps {
    let stamp = |name: &String| {
        let about = std::fs::metadata(folder?.join(name)).ok()?;
        Some((about.len(), about.modified().ok()?))
    };
    names(part).iter().map(stamp).collect()
}

impl Saves {
    /// Begins with the files as they are now.
    pub(super) fn new(lab: &Lab, folder: Option<&Path>) -> Self {
        let parts = lab.card.parts.iter().filter(|part| part.kind == Kind::Program);
        let watched = parts.map(|part| {
            let now = stamps(folder, part);
            Watched { part: part.id().to_owned(), checked: now.clone(), seen: now }
        });
        Self(watched.collect())
    }

    /// A part is checked now.
    pub(super) fn check(&mut self, lab: &Lab, folder: Option<&Path>, id: &str) {
        let part = lab.card.parts.iter().find(|part| part.id() == id);
        let watched = self.0.iter_mut().find(|watched| watched.part == id);
        if let Some((part, watched)) = part.zip(watched) {
            watched.checked = stamps(folder, part);
        }
    }

    /// The parts whose files were saved, and have not changed since the last call.
    pub(super) fn settled(&mut self, lab: &Lab, folder: Option<&Path>) -> Vec<String> {
        let mut settled = Vec::new();
        for watched in &mut self.0 {
            let Some(part) = lab.card.parts.iter().find(|part| part.id() == watched.part) else { continue };
            let now = stamps(folder, part);
            if now == watched.seen && now != watched.checked {
                watched.checked.clone_from(&now);
                settled.push(watched.part.clone());
            }
            watched.seen = now;
        }
        settled
    }
}
