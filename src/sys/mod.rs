//! The kernel's edge: the only module that makes a raw system call. One file per call family.

pub mod clock;
pub mod descriptor;
pub mod epoll;
pub mod fork;
pub mod futex;
pub mod mmap;
pub mod object;
pub mod packet;
pub mod pidfd;
pub mod poll;
pub mod procs;
pub mod record_lock;
pub mod resource;
pub mod robust;
pub mod signal;
pub mod socket;
pub mod task;
pub mod ticks;
pub mod tmpfile;
pub mod wait;
