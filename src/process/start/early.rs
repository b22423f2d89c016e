//! What a fresh copy does before `main`, and before any constructor of the program.
//!
//! The C library runs the functions of the `.init_array` section before `main`, those with a low number first. At
//! that point the process has one thread and has run no code of the program, which is what the fork server needs: it
//! runs here, and only its children continue to `main`.
//!
//! # Safety
//! The C library calls [`early`] once, with the program's arguments where it is glibc.
#![expect(unsafe_code, reason = "a function that the loader calls, and descriptors without owners yet")]

use super::server::serve;
use crate::process::entry::MARK;
use crate::sys::{signal, spawn, task};
use std::ffi::{CStr, c_char, c_int};

/// The third argument of the fork server.
pub(super) const SERVE: &str = "serve";

#[used]
// 100 and below are the C library's and the compiler's, and 99 holds the standard library's arguments.
#[unsafe(link_section = ".init_array.00101")]
static EARLY: extern "C" fn(c_int, *const *const c_char) = early;

extern "C" fn early(argc: c_int, argv: *const *const c_char) {
    signal::remember_inherited();
    let args = arguments(argc, argv);
    if args.get(1).is_none_or(|arg| arg != MARK.as_bytes()) {
        return;
    }
    // Until the child has its instructions, it dies with its parent. If the parent is already dead, the socket on
    // standard input is at its end.
    let _ = task::die_with_parent(true);
    if !spawn::closes_before_exec() {
        // SAFETY: no code of this program has run yet, so nothing in it owns a descriptor.
        unsafe { spawn::close_all_but_standard() };
    }
    if args.get(3).is_some_and(|arg| arg == SERVE.as_bytes()) {
        serve();
    }
}

/// The first arguments of this program. musl passes none to constructors, and the standard library knows
/// them only in `main` there.
fn arguments(argc: c_int, argv: *const *const c_char) -> Vec<Vec<u8>> {
    const NEEDED: usize = 4;
    if cfg!(target_env = "gnu") {
        let count = usize::try_from(argc).unwrap_or(0).min(NEEDED);
        // SAFETY: glibc passes `main`'s arguments: `argc` pointers to strings that live as long as the process.
        (0..count).map(|at| unsafe { CStr::from_ptr(*argv.add(at)) }.to_bytes().to_vec()).collect()
    } else {
        let line = std::fs::read("/proc/self/cmdline").unwrap_or_default();
        line.split(|byte| *byte == 0).take(NEEDED).map(<[u8]>::to_vec).collect()
    }
}
