//! Views of a watched run: a summary for people, JSON, a trace for Perfetto, an offline page.

pub mod build;
pub mod compare;
pub mod deadlock;
pub mod drawing;
pub mod html;
pub mod lanes;
pub mod model;
pub(crate) mod numbers;
pub mod perfetto;
pub mod pftrace;
pub mod policy;
mod protobuf;
pub mod scheduling;
mod sentences;
mod simulation;
mod strips;
pub mod svg;
pub mod table;
pub mod text;
mod told;
pub mod trajectory;
pub mod tree;
pub mod wrap;

/// The timeline of a run as a module for browsers: the live page and `watch --html` draw with it.
pub const TIMELINE: &str = include_str!("timeline.js");
/// Its style.
pub const TIMELINE_STYLE: &str = include_str!("timeline.css");
