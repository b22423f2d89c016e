//! The files of the page, embedded in the executable.

/// A file of the page.
#[derive(Debug)]
pub(super) struct Asset {
    /// Its name in the address.
    pub(super) name: &'static str,
    /// Its media type.
    pub(super) kind: &'static str,
    /// Its content.
    pub(super) content: &'static str,
}

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

macro_rules! scripts {
    ($($name:literal)*) => {
        [$(Asset { name: $name, kind: SCRIPT, content: include_str!(concat!("assets/", $name)) },)*]
    };
}

/// The page itself: the lecturer's and the students'.
pub(super) static LECTURER: &str = include_str!("assets/index.html");
pub(super) static STUDENT: &str = include_str!("assets/student.html");

static SCRIPTS: &[Asset] = &scripts![
    "main.js" "student.js" "api.js" "dom.js" "words.js" "forms.js" "run.js" "lanes.js" "schedule.js" "explore.js"
    "graph.js" "waits.js" "class.js" "wire.js" "programs.js" "labs.js" "home.js" "standing.js" "refusals.js" "catalogue.js"
];

static OTHERS: &[Asset] = &[
    Asset { name: "style.css", kind: STYLE, content: include_str!("assets/style.css") },
    Asset { name: "timeline.css", kind: STYLE, content: crate::report::watch::TIMELINE_STYLE },
    Asset { name: "timeline.js", kind: SCRIPT, content: crate::report::watch::TIMELINE },
];

/// The file of this name.
pub(super) fn find(name: &str) -> Option<&'static Asset> {
    SCRIPTS.iter().chain(OTHERS).find(|asset| asset.name == name)
}
