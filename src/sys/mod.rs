//! The kernel's edge: the only module that makes a raw system call. One file per call family.

pub mod clock;
pub mod descriptor;
pub mod epoll;
pub mod fork;
pub mod object;
pub mod pidfd;
pub mod poll;
pub mod procs;
pub mod signal;
pub mod task;
pub mod wait;
