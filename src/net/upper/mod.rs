//! `upper`: bytes come back in upper case, from two servers to compare.

pub mod busy;
pub mod peer;
pub mod ready;

pub use peer::{Report, run_client, serve_one, upper};
