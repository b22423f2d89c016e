//! The ring into which the kernel writes records, and from which this process reads (`perf_event_open(2)`, "MMAP
//! layout").
//!
//! # Safety
//! The ring is memory shared with the kernel. Both sides access only `data_head` (written by the kernel) and
//! `data_tail` (written by us) concurrently; they are atomics, with the acquire and release that the kernel
//! documents. Bytes between tail and head belong to us until the tail moves.
#![expect(unsafe_code, reason = "the ring is a mapping shared with the kernel")]

use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::errno::Errno;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use nix::unistd::{SysconfVar, sysconf};
use perf_event_open_sys::bindings as abi;

use super::event::PerfEvent;
use super::record::{Record, parse};

/// The ring of an event on one CPU. It owns the event.
#[derive(Debug)]
pub struct Ring {
    event: PerfEvent,
    base: NonNull<nix::libc::c_void>,
    mapped: NonZeroUsize,
    data_at: usize,
    data_len: usize,
    /// Holds a record that wraps around the end.
    scratch: Vec<u8>,
}

impl Ring {
    /// Maps a ring of at least `bytes` (rounded up to a power of two of pages) for `event`.
    ///
    /// # Errors
    /// `EPERM` when the lockable memory (`perf_event_mlock_kb`, `RLIMIT_MEMLOCK`) is used up: ask for less.
    pub fn new(event: PerfEvent, bytes: usize) -> Result<Self, Errno> {
        let page =
            sysconf(SysconfVar::PAGE_SIZE)?.and_then(|size| usize::try_from(size).ok()).unwrap_or(4096);
        let data_len = page * bytes.div_ceil(page).next_power_of_two();
        let mapped = NonZeroUsize::new(page + data_len).ok_or(Errno::EINVAL)?;
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping at an address that the kernel chooses, owned by the value created here.
        let base = unsafe { mmap(None, mapped, access, MapFlags::MAP_SHARED, &event, 0) }?;
        Ok(Self { event, base, mapped, data_at: page, data_len, scratch: Vec::new() })
    }

    /// The event that owns the ring, for [`share_ring`](super::event::share_ring).
    pub fn event(&self) -> &PerfEvent {
        &self.event
    }

    /// Calls `each` for every record in the ring, oldest first, and frees their space.
    ///
    /// Reads the head once, so that it returns even while the kernel keeps writing.
    pub fn drain(&mut self, mut each: impl FnMut(Record<'_>)) {
        let head = self.head().load(Ordering::Acquire);
        let mut tail = self.tail().load(Ordering::Relaxed);
        while tail < head {
            let offset = (tail % self.data_len as u64) as usize;
            // A header has 8 bytes, and records are aligned to 8 bytes, so a header never wraps.
            let Some(header) = self.written(offset, 8) else { break };
            let size = usize::from(u16::from_ne_bytes([header[6], header[7]]));
            if size < 8 || size as u64 > head - tail {
                // The kernel never writes this; skip everything rather than loop.
                tail = head;
                break;
            }
            if let Some(record) = self.written(offset, size) {
                each(parse(record));
            } else {
                let mut whole = std::mem::take(&mut self.scratch);
                whole.clear();
                let at_end = self.data_len - offset;
                whole.extend_from_slice(self.written(offset, at_end).unwrap_or_default());
                whole.extend_from_slice(self.written(0, size - at_end).unwrap_or_default());
                each(parse(&whole));
                self.scratch = whole;
            }
            tail += size as u64;
        }
        self.tail().store(tail, Ordering::Release);
    }

    fn control(&self) -> *mut abi::perf_event_mmap_page {
        self.base.as_ptr().cast()
    }

    fn head(&self) -> &AtomicU64 {
        // SAFETY: the control page is mapped as long as `self` lives; the field is an aligned u64 that only the
        // kernel writes.
        unsafe { AtomicU64::from_ptr(&raw mut (*self.control()).data_head) }
    }

    fn tail(&self) -> &AtomicU64 {
        // SAFETY: as for the head, and only this value writes the tail.
        unsafe { AtomicU64::from_ptr(&raw mut (*self.control()).data_tail) }
    }

    /// Bytes of records that the kernel has written and we have not freed; `None` beyond the end of the ring.
    /// Callers request only bytes between tail and head.
    fn written(&self, offset: usize, length: usize) -> Option<&[u8]> {
        if offset.checked_add(length)? > self.data_len {
            return None;
        }
        // SAFETY: the bytes are inside the mapping, and the kernel does not write between tail and head until
        // the tail has moved. The slice covers no bytes outside that range, where the kernel may write.
        Some(unsafe {
            std::slice::from_raw_parts(self.base.as_ptr().cast::<u8>().add(self.data_at + offset), length)
        })
    }
}

impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: the mapping created in `new`; no reference into it outlives `self`.
        let _ = unsafe { munmap(self.base, self.mapped.get()) };
    }
}
