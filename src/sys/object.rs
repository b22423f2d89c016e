//! `dladdr(3)`: where this program's code is loaded, so that another process that runs it can find a function again.
//!
//! # Safety
//! `dladdr` only looks up an address; it never dereferences it.
#![expect(unsafe_code, reason = "dladdr, and calling a function by its address")]

use nix::libc;
use std::ffi::c_void;

/// The base address of the object (executable or library) that contains `address`; `None` in a static program,
/// or for an address outside every object.
pub fn base_of(address: usize) -> Option<usize> {
    // SAFETY: all-zero bytes are a valid Dl_info.
    let mut info: libc::Dl_info = unsafe { std::mem::zeroed() };
    // SAFETY: the address is not dereferenced; `info` outlives the call.
    let found = unsafe { libc::dladdr(address as *const c_void, &raw mut info) };
    (found != 0 && !info.dli_fbase.is_null()).then_some(info.dli_fbase as usize)
}

/// The function at `address`, which returns.
///
/// # Safety
/// `address` must be that of a function of type `fn(A) -> R` in this very executable.
pub unsafe fn returning_function_at<A, R>(address: usize) -> fn(A) -> R {
    // SAFETY: the caller's promise.
    unsafe { std::mem::transmute::<usize, fn(A) -> R>(address) }
}

/// The function at `address`, which never returns.
///
/// # Safety
/// `address` must be that of a function of type `fn(A) -> !` in this executable.
pub unsafe fn function_at<A>(address: usize) -> fn(A) -> ! {
    // SAFETY: the caller's promise.
    unsafe { std::mem::transmute::<usize, fn(A) -> !>(address) }
}
