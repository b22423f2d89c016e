//! The kernel's edge: the only module that makes a raw system call. One file per call family.

pub mod clock;
pub mod deaths;
pub mod descriptor;
pub mod epoll;
pub mod exec;
pub mod fork;
pub mod futex;
pub mod mmap;
pub mod notes_pipe;
pub mod object;
pub mod packet;
pub mod perf;
pub mod pidfd;
pub mod poll;
pub mod procfs;
pub mod procs;
pub mod record_lock;
pub mod resource;
pub mod robust;
pub mod signal;
pub mod signalfd;
pub mod socket;
pub mod task;
pub mod ticks;
pub mod tmpfile;
pub mod wait;
