//! The descriptors beside a value, while it is encoded or decoded.
//!
//! Bytes carry no descriptor. A handle that is encoded leaves a copy of its descriptor here, and its number in the
//! bytes; whoever sends the bytes sends the copies with them, and lays them out here while the bytes are decoded.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

thread_local! {
    /// Of the value that is being encoded, in the order of their numbers in its bytes.
    static ATTACHED: RefCell<Option<Vec<OwnedFd>>> = const { RefCell::new(None) };
    /// Of the value that is being decoded.
    static ARRIVED: RefCell<Vec<Option<OwnedFd>>> = const { RefCell::new(Vec::new()) };
    /// Why the kernel refused something to a handle in the value that is being encoded or decoded.
    static REFUSED: RefCell<Option<io::Error>> = const { RefCell::new(None) };
    /// Whether a handle was encoded for bytes alone.
    static MISSED: Cell<bool> = const { Cell::new(false) };
}

/// What was laid out for an outer value, put back at the end, in a panic too.
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

/// Calls `encode`, and returns beside its result the descriptors of the value, and why one was refused.
pub(crate) fn collect<R>(encode: impl FnOnce() -> R) -> (R, Vec<OwnedFd>, Option<io::Error>) {
    let attached = Some(ATTACHED.replace(Some(Vec::new())));
    let outer = Outer { attached, arrived: None, refused: REFUSED.take() };
    let result = encode();
    let (descriptors, refused) = (ATTACHED.take().unwrap_or_default(), REFUSED.take());
    drop(outer);
    (result, descriptors, refused)
}

/// Calls `decode` with the descriptors of the value, and returns beside its result why one was refused.
pub(crate) fn lay_out<R>(descriptors: Vec<OwnedFd>, decode: impl FnOnce() -> R) -> (R, Option<io::Error>) {
    let arrived = Some(ARRIVED.replace(descriptors.into_iter().map(Some).collect()));
    let outer = Outer { attached: None, arrived, refused: REFUSED.take() };
    let result = decode();
    let refused = REFUSED.take();
    drop(outer);
    (result, refused)
}

/// Keeps why the kernel refused something to a handle that is being encoded or decoded, for the sender or receiver of
/// the value that it is in; serde carries only the text, which is returned.
pub(crate) fn refusal(error: io::Error) -> String {
    let text = error.to_string();
    if error.raw_os_error().is_some() {
        REFUSED.set(Some(error));
    }
    text
}

/// Whether a handle was encoded for bytes alone since this was last asked.
pub(crate) fn take_missed() -> bool {
    MISSED.replace(false)
}

/// Has a copy of `fd` travel with the value that is being encoded; its number there.
///
/// # Errors
/// When nothing carries descriptors beside the bytes.
pub(super) fn attach(fd: BorrowedFd<'_>) -> io::Result<u32> {
    ATTACHED.with_borrow_mut(|attached| {
        let Some(attached) = attached.as_mut() else {
            MISSED.set(true);
            return Err(io::Error::other(
                "a handle travels in arguments, results, messages of a queue and through a pipe, and not in bytes alone",
            ));
        };
        attached.push(fd.try_clone_to_owned()?);
        Ok(attached.len() as u32 - 1)
    })
}

/// Takes the descriptor with this number in the value that is being decoded.
pub(super) fn detach(number: u32) -> Option<OwnedFd> {
    ARRIVED.with_borrow_mut(|arrived| arrived.get_mut(number as usize)?.take())
}
