//! The descriptors in a value, while it is encoded or decoded.
//!
//! Bytes carry no descriptors. Encoding a handle stores a copy of its descriptor here, and an index in the bytes. The
//! transport sends the copies with the bytes, and provides them here while the bytes are decoded.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

thread_local! {
    /// The descriptors of the value that is being encoded, in the order of the indices in its bytes.
    static ATTACHED: RefCell<Option<Vec<OwnedFd>>> = const { RefCell::new(None) };
    /// The descriptors of the value that is being decoded.
    static ARRIVED: RefCell<Vec<Option<OwnedFd>>> = const { RefCell::new(Vec::new()) };
    /// The kernel's error for a handle in the value that is being encoded or decoded.
    static REFUSED: RefCell<Option<io::Error>> = const { RefCell::new(None) };
    /// Whether a handle was encoded while nothing carries descriptors.
    static MISSED: Cell<bool> = const { Cell::new(false) };
}

/// The state of an outer value, which is restored at the end, even after a panic.
struct Outer {
    attached: Option<Option<Vec<OwnedFd>>>,
    arrived: Option<Vec<Option<OwnedFd>>>,
    refused: Option<io::Error>,
}

impl Drop for Outer {
    fn drop(&mut self) {
        if let Some(attached) = self.attached.take() {
            ATTACHED.set(attached);
        }
        if let Some(arrived) = self.arrived.take() {
            ARRIVED.set(arrived);
        }
        REFUSED.set(self.refused.take());
    }
}

/// Calls `encode`, and returns its result, the descriptors of the value, and the kernel's error for a handle, if any.
pub(crate) fn collect<R>(encode: impl FnOnce() -> R) -> (R, Vec<OwnedFd>, Option<io::Error>) {
    let attached = Some(ATTACHED.replace(Some(Vec::new())));
    let outer = Outer { attached, arrived: None, refused: REFUSED.take() };
    let result = encode();
    let (descriptors, refused) = (ATTACHED.take().unwrap_or_default(), REFUSED.take());
    drop(outer);
    (result, descriptors, refused)
}

/// Calls `decode` with the descriptors of the value, and returns its result and the kernel's error for a handle, if any.
pub(crate) fn lay_out<R>(descriptors: Vec<OwnedFd>, decode: impl FnOnce() -> R) -> (R, Option<io::Error>) {
    let arrived = Some(ARRIVED.replace(descriptors.into_iter().map(Some).collect()));
    let outer = Outer { attached: None, arrived, refused: REFUSED.take() };
    let result = decode();
    let refused = REFUSED.take();
    drop(outer);
    (result, refused)
}

/// Records the kernel's error for a handle that is being encoded or decoded, for the sender or receiver of its value.
/// Returns the text of the error, because serde carries only that.
pub(crate) fn refusal(error: io::Error) -> String {
    let text = error.to_string();
    if error.raw_os_error().is_some() {
        REFUSED.set(Some(error));
    }
    text
}

/// Whether a handle was encoded while nothing carries descriptors, since the last call.
pub(crate) fn take_missed() -> bool {
    MISSED.replace(false)
}

/// Adds a copy of `fd` to the value that is being encoded, and returns its index.
///
/// # Errors
/// When nothing carries descriptors with the bytes.
pub(super) fn attach(fd: BorrowedFd<'_>) -> io::Result<u32> {
    ATTACHED.with_borrow_mut(|attached| {
        let Some(attached) = attached.as_mut() else {
            MISSED.set(true);
            return Err(io::Error::other(
                "a handle can be sent in arguments, results, and messages of a queue or pipe, but not in bytes alone",
            ));
        };
        attached.push(fd.try_clone_to_owned()?);
        Ok(attached.len() as u32 - 1)
    })
}

/// Takes the descriptor with this index in the value that is being decoded.
pub(super) fn detach(number: u32) -> Option<OwnedFd> {
    ARRIVED.with_borrow_mut(|arrived| arrived.get_mut(number as usize)?.take())
}
