//! The ring that the kernel writes records into and this process reads (`perf_event_open(2)`, "MMAP layout").
//!
//! # Safety
//! The ring is memory shared with the kernel. Only `data_head` (kernel writes) and `data_tail` (we write) are
//! shared while running; they are read and written as atomics, with the acquire and release that the kernel
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

/// One event's ring on one CPU. The event lives as long as the ring.
#[derive(Debug)]
pub struct Ring {
    event: PerfEvent,
    base: NonNull<nix::libc::c_void>,
    mapped: NonZeroUsize,
    data_at: usize,
    data_len: usize,
    /// A record that wraps around the end is put together here.
    scratch: Vec<u8>,
}

impl Ring {
    /// Maps a ring of at least `bytes` (rounded up to a power of two of pages) for `event`.
    ///
    /// # Errors
    /// `EPERM` when the memory that may be locked (`perf_event_mlock_kb`, `RLIMIT_MEMLOCK`) is used up: ask
    /// for less.
    pub fn new(event: PerfEvent, bytes: usize) -> Result<Self, Errno> {
        let page =
            sysconf(SysconfVar::PAGE_SIZE)?.and_then(|size| usize::try_from(size).ok()).unwrap_or(4096);
        let data_len = page * bytes.div_ceil(page).next_power_of_two();
        let mapped = NonZeroUsize::new(page + data_len).ok_or(Errno::EINVAL)?;
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a fresh mapping at an address of the kernel's choosing, owned by the value made here.
        let base = unsafe { mmap(None, mapped, access, MapFlags::MAP_SHARED, &event, 0) }?;
        Ok(Self { event, base, mapped, data_at: page, data_len, scratch: Vec::new() })
    }

    /// The event that owns the ring, for [`share_ring`](super::event::share_ring).
    pub fn event(&self) -> &PerfEvent {
        &self.event
    }

    /// Gives every record that is in the ring to `each`, oldest first, and frees their room.
    ///
    /// Looks at the head once, so that it ends even while the kernel goes on writing.
    pub fn drain(&mut self, mut each: impl FnMut(Record<'_>)) {
        let head = self.head().load(Ordering::Acquire);
        let mut tail = self.tail().load(Ordering::Relaxed);
        while tail < head {
            let offset = (tail % self.data_len as u64) as usize;
            // A record's header is 8 bytes and records are 8-byte aligned, so a header never wraps.
            let Some(header) = self.written(offset, 8) else { break };
            let size = usize::from(u16::from_ne_bytes([header[6], header[7]]));
            if size < 8 || size as u64 > head - tail {
                // The kernel never writes this; skip all rather than loop on it.
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
        // SAFETY: the control page is mapped as long as `self`; the field is an aligned u64 that only the
        // kernel writes.
        unsafe { AtomicU64::from_ptr(&raw mut (*self.control()).data_head) }
    }

    fn tail(&self) -> &AtomicU64 {
        // SAFETY: as for the head, and only this value writes the tail.
        unsafe { AtomicU64::from_ptr(&raw mut (*self.control()).data_tail) }
    }

    /// Bytes of records that the kernel has written and this side has not given back yet; `None` beyond the
    /// end of the ring. Callers ask for bytes between tail and head only.
    fn written(&self, offset: usize, length: usize) -> Option<&[u8]> {
        if offset.checked_add(length)? > self.data_len {
            return None;
        }
        // SAFETY: the bytes are inside the mapping, and the kernel does not write between tail and head until
        // the tail has moved. The slice covers no byte outside of that, where the kernel may write meanwhile.
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
        // SAFETY: exactly the mapping made in `new`; no reference into it outlives `self`.
        let _ = unsafe { munmap(self.base, self.mapped.get()) };
    }
}
