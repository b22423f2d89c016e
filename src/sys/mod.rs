//! The kernel's edge: the only module that makes a raw system call. One file per call family.

pub mod clock;
pub mod datagram;
pub mod resource;
pub mod tmpfile;
