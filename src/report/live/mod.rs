//! The live view of a watch: rows from a timeline, drawn with ratatui; keys change what is shown.

mod detail;
mod draw;
mod output;
mod past;
mod rows;
mod strip;
mod view;

pub use draw::draw;
pub use output::Output;
pub use view::{Action, Frame, Key, View};
