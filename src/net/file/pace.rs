//! Progress reports of a transfer.

use crate::net::connection::Connection;
use crate::net::event::What;
use std::time::{Duration, Instant};

/// Reports the progress of a transfer, ten times per second.
pub(super) struct Pace<'a> {
    connection: &'a Connection,
    total: u64,
    told: Instant,
}

impl<'a> Pace<'a> {
    pub(super) fn new(connection: &'a Connection, from: u64, total: u64) -> Self {
        connection.tell(What::Progress { done: from, total });
        Self { connection, total, told: Instant::now() }
    }

    pub(super) fn at(&mut self, done: u64) {
        if done == self.total || self.told.elapsed() >= Duration::from_millis(100) {
            self.told = Instant::now();
            self.connection.tell(What::Progress { done, total: self.total });
        }
    }
}
