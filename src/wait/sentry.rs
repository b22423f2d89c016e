//! A wait for words in shared memory beside descriptors: a separate thread sleeps on the words, and makes a
//! descriptor readable when one of them has changed.

use crate::sys::eventfd;
use crate::sys::futex::{self, Expected};
use crate::sys::signal;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{self, JoinHandle};

/// The thread, which ends once a word has changed, or when this is dropped.
#[derive(Debug)]
pub(super) struct Sentry {
    words: Vec<Expected>,
    watch: Arc<Watch>,
    /// `None` only while it is dropped.
    thread: Option<JoinHandle<()>>,
}

/// What the thread and its owner share.
#[derive(Debug)]
struct Watch {
    /// Changes when the thread is to end.
    end: AtomicU32,
    changed: AtomicBool,
    event: eventfd::Event,
}

impl Sentry {
    /// Starts a thread that sleeps on `words`.
    ///
    /// # Errors
    /// When no thread or descriptor is available. A kernel without `futex_waitv(2)` is noticed by [`Self::has_changed`]
    /// only.
    pub(super) fn start(words: Vec<Expected>) -> io::Result<Self> {
        let watch = Arc::new(Watch {
            end: AtomicU32::new(0),
            changed: AtomicBool::new(false),
            event: eventfd::Event::new()?,
        });
        let mut all = words.clone();
        all.push(Expected::new(&watch.end, 0));
        let theirs = Arc::clone(&watch);
        let body = move || {
            // A wake-up, a changed word or a signal ended it: the waiting thread asks its sources again.
            let _ = futex::wait_any(&all, None);
            theirs.changed.store(true, Ordering::Release);
            theirs.event.ring();
        };
        // Signals are for the threads of the program.
        let thread = signal::with_all_blocked(|| thread::Builder::new().stack_size(64 << 10).spawn(body))??;
        Ok(Sentry { words, watch, thread: Some(thread) })
    }

    /// Whether it sleeps on these words, and none has changed yet.
    pub(super) fn sleeps_on(&self, words: &[Expected]) -> bool {
        self.words == words && !self.has_changed()
    }

    /// Whether it has been woken.
    pub(super) fn has_changed(&self) -> bool {
        self.watch.changed.load(Ordering::Acquire)
    }
}

impl AsFd for Sentry {
    /// Readable once a word has changed.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.watch.event.as_fd()
    }
}

impl Drop for Sentry {
    fn drop(&mut self) {
        self.watch.end.store(1, Ordering::Release);
        futex::wake_all(&self.watch.end);
        if let Some(thread) = self.thread.take() {
            // It cannot panic.
            let _ = thread.join();
        }
    }
}
