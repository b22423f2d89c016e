//! The labs of this program: one line each, in the order in which they are best done.

use include_dir::{Dir, include_dir};

/// The folder of each lab; its name is the lab's.
pub static LABS: &[(&str, Dir<'static>)] = &[
    ("whose-child", include_dir!("$CARGO_MANIFEST_DIR/data/labs/whose-child")),
    ("birth-to-reaping", include_dir!("$CARGO_MANIFEST_DIR/data/labs/birth-to-reaping")),
    ("ready-running", include_dir!("$CARGO_MANIFEST_DIR/data/labs/ready-running")),
    ("yours-and-mine", include_dir!("$CARGO_MANIFEST_DIR/data/labs/yours-and-mine")),
    ("last-ticket", include_dir!("$CARGO_MANIFEST_DIR/data/labs/last-ticket")),
    ("twelve-locks", include_dir!("$CARGO_MANIFEST_DIR/data/labs/twelve-locks")),
    ("deadlock", include_dir!("$CARGO_MANIFEST_DIR/data/labs/deadlock")),
    ("producer-consumer", include_dir!("$CARGO_MANIFEST_DIR/data/labs/producer-consumer")),
    ("pipes", include_dir!("$CARGO_MANIFEST_DIR/data/labs/pipes")),
    ("shell-children", include_dir!("$CARGO_MANIFEST_DIR/data/labs/shell-children")),
    ("sticky-packets", include_dir!("$CARGO_MANIFEST_DIR/data/labs/sticky-packets")),
    ("datagrams", include_dir!("$CARGO_MANIFEST_DIR/data/labs/datagrams")),
];
