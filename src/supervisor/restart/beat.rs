//! Readiness and heartbeats: what the body of a child reports to its tree.

use crate::process::notify;

/// The byte that reports readiness.
pub(super) const READY: u8 = b'r';
/// The byte of a heartbeat.
pub(super) const BEAT: u8 = b'h';

/// Reports that this process is ready, to the [`Tree`](super::Tree) that started it and waits for that
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

/// Reports that this process is healthy, to the [`Tree`](super::Tree) that started it and restarts it if the report is
/// missing ([`ChildSpec::heartbeat_within`](super::ChildSpec::heartbeat_within)). Does nothing in any other process.
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
