//! Plain data in, bytes out: every view of a run.

pub mod live;
pub mod watch;
