//! Any run as a timeline: who runs, who is ready, who is blocked on what.

pub mod event;
pub mod timeline;
pub mod wait;
