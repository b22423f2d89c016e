//! The labs of this program: a line each, in the order in which they are best done.

use include_dir::{Dir, include_dir};

/// The folder of each lab; its name is the lab's.
pub static LABS: &[(&str, Dir<'static>)] = &[
    ("whose-child", include_dir!("$CARGO_MANIFEST_DIR/data/labs/whose-child")),
    ("birth-to-reaping", include_dir!("$CARGO_MANIFEST_DIR/data/labs/birth-to-reaping")),
    ("last-ticket", include_dir!("$CARGO_MANIFEST_DIR/data/labs/last-ticket")),
    ("pipes", include_dir!("$CARGO_MANIFEST_DIR/data/labs/pipes")),
];
