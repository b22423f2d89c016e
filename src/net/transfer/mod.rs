//! `file`: a length, a JSON header, then the bytes of a file; either end may listen.

pub mod digest;
pub mod header;
pub mod receive;
pub mod send;
pub mod store;
