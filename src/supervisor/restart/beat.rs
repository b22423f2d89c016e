//! What the body of a child says to the tree that started it: that it is ready, and that it is well.

use crate::process::notify;

/// The byte by which a child says that it is ready.
pub(super) const READY: u8 = b'r';
/// The byte by which a child says that it is well.
pub(super) const BEAT: u8 = b'h';

/// Says that this process is ready to serve, to the [`Tree`](super::Tree) that started it and waits for that
/// ([`ChildSpec::ready_within`](super::ChildSpec::ready_within)). Does nothing in any other process.
///
/// ```no_run
/// use std::net::TcpListener;
///
/// fn serve(port: u16) {
///     let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
///     proclab::supervisor::ready();
///     for stream in listener.incoming() {
///         drop(stream);
///     }
/// }
/// # let _ = serve;
/// ```
pub fn ready() {
    notify(READY);
}

/// Says that this process is well, to the [`Tree`](super::Tree) that started it and restarts it if it does not hear of
/// it ([`ChildSpec::heartbeat_within`](super::ChildSpec::heartbeat_within)). Does nothing in any other process.
///
/// ```no_run
/// fn work() {
///     loop {
///         // One piece of work …
///         proclab::supervisor::heartbeat();
///     }
/// }
/// # let _ = work;
/// ```
pub fn heartbeat() {
    notify(BEAT);
}
