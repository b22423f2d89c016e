//! `set_robust_list(2)`: what the kernel does for a thread that dies with a lock in its hands.
//!
//! The kernel keeps, for every thread, the address of a small structure in the thread's own memory. Its
//! field `list_op_pending` names one futex word that the thread is *about to take, holding, or just
//! letting go*. When the thread ends, by SIGKILL too, the kernel looks at that word:
//! - it holds the thread's TID: the kernel replaces that by `FUTEX_OWNER_DIED` and wakes one waiter;
//! - it holds no TID: the thread died just before it took the lock or just after it let go of it, and
//!   the kernel wakes one waiter, who might otherwise never hear of it.
//!
//! A thread that uses this field alone holds one such lock at a time, and keeps no pointer in shared
//! memory, which linking the lock into the thread's list would need. The structure is the C library's
//! own where it has registered one; its robust mutexes use the field in the same way and leave it empty.
//!
//! # Safety
//! The structure lies in the thread's descriptor or in a thread-local of this file, so it lives as long
//! as the thread, and only this thread writes to it. A fork is noticed through a page that the kernel
//! wipes in the child.
#![expect(unsafe_code, reason = "raw system calls, and the thread's own structure that the kernel reads")]

use super::clock::monotonic_ns;
use super::membarrier;
use nix::libc;
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap_anonymous};
use std::cell::{Cell, UnsafeCell};
use std::io;
use std::num::NonZeroUsize;
use std::ptr::null_mut;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering, compiler_fence};

/// `struct robust_list_head` of `<linux/futex.h>`.
#[repr(C)]
struct Head {
    list: AtomicPtr<libc::c_void>,
    futex_offset: libc::c_long,
    list_op_pending: AtomicPtr<libc::c_void>,
}

/// The calling thread, as the kernel's robust futexes know it.
#[derive(Debug, Clone, Copy)]
pub struct ThisThread {
    lineage: u64,
    tid: u32,
    head: *const Head,
}

thread_local! {
    static CACHED: Cell<ThisThread> = const { Cell::new(ThisThread { lineage: 0, tid: 0, head: std::ptr::null() }) };
    /// Used only where the C library has registered none.
    static OWN_HEAD: UnsafeCell<Head> = const {
        UnsafeCell::new(Head {
            list: AtomicPtr::new(null_mut()),
            futex_offset: 0,
            list_op_pending: AtomicPtr::new(null_mut()),
        })
    };
}

impl ThisThread {
    /// The calling thread. Cheap: what it found the first time is kept until the process is forked.
    ///
    /// # Errors
    /// When the kernel has no robust futexes, or memory is short.
    #[inline(always)]
    pub fn get() -> io::Result<Self> {
        let cached = CACHED.get();
        if cached.lineage == lineage()? {
            return Ok(cached);
        }
        let found = Self::find()?;
        CACHED.set(found);
        Ok(found)
    }

    #[cold]
    fn find() -> io::Result<Self> {
        let (mut head, mut len) = (null_mut::<Head>(), 0_usize);
        // SAFETY: the kernel writes one pointer and one length into locals.
        let got = unsafe { libc::syscall(libc::SYS_get_robust_list, 0, &raw mut head, &raw mut len) };
        if got != 0 {
            return Err(io::Error::last_os_error());
        }
        if head.is_null() {
            head = OWN_HEAD.with(UnsafeCell::get);
            // SAFETY: the head is this thread's own; an empty list points to itself.
            unsafe { (*head).list.store(head.cast(), Ordering::Relaxed) };
            // SAFETY: the kernel keeps the address; the thread-local lives as long as the thread.
            let set = unsafe { libc::syscall(libc::SYS_set_robust_list, head, size_of::<Head>()) };
            if set != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        // Where it is refused, see `sync::robust_mutex`.
        let _ = membarrier::register();
        let tid = nix::unistd::gettid().as_raw().cast_unsigned();
        Ok(ThisThread { lineage: lineage()?, tid, head })
    }

    /// The number that stands for this thread in a robust futex (`gettid(2)`).
    #[inline]
    pub fn tid(self) -> u32 {
        self.tid
    }

    /// Tells the kernel that this thread is about to take `word`, holds it or lets go of it; `None` where it has
    /// told so of another word, which the kernel would forget.
    #[inline]
    pub(crate) fn announce(self, word: &AtomicU32) -> Option<Announced> {
        // SAFETY: `get` made this value in this thread and process (it is not Send), so the head lives.
        let head = unsafe { &*self.head };
        let entry = word.as_ptr().cast::<libc::c_void>().wrapping_byte_offset(-(head.futex_offset as isize));
        if !head.list_op_pending.load(Ordering::Relaxed).is_null() {
            return None;
        }
        head.list_op_pending.store(entry, Ordering::Relaxed);
        // The kernel reads what this processor wrote, in program order: only the compiler must not
        // move the store behind the operation on the word.
        compiler_fence(Ordering::SeqCst);
        Some(Announced(self.head))
    }
}

/// What this thread has told the kernel of. Like [`ThisThread`] it stays in the thread.
#[derive(Debug, Clone, Copy)]
pub struct Announced(*const Head);

impl Announced {
    /// Tells the kernel that there is no such word any more.
    #[inline]
    pub fn withdraw(self) {
        compiler_fence(Ordering::SeqCst);
        // SAFETY: as in `announce`.
        unsafe { &*self.0 }.list_op_pending.store(null_mut(), Ordering::Relaxed);
    }
}

/// A number that differs between a process and its forks, and is never 0.
///
/// It lies on a page that is wiped in every copy of this memory (`MADV_WIPEONFORK`, Linux 4.14), so a
/// look at it costs no system call, as `getpid(2)` would.
///
/// # Errors
/// When the page cannot be had.
#[inline]
pub fn lineage() -> io::Result<u64> {
    match PAGE.get().map_or(0, |page| page.load(Ordering::Relaxed)) {
        0 => begin_lineage(),
        number => Ok(number),
    }
}

static PAGE: OnceLock<&'static AtomicU64> = OnceLock::new();

#[cold]
fn begin_lineage() -> io::Result<u64> {
    let page = match PAGE.get() {
        Some(page) => page,
        None => {
            let page = wiped_page()?;
            PAGE.get_or_init(|| page)
        }
    };
    let fresh = monotonic_ns().rotate_left(20) ^ u64::from(std::process::id()) | 1;
    Ok(page.compare_exchange(0, fresh, Ordering::Relaxed, Ordering::Relaxed).err().unwrap_or(fresh))
}

fn wiped_page() -> io::Result<&'static AtomicU64> {
    let length = NonZeroUsize::new(size_of::<AtomicU64>()).expect("is not 0");
    // SAFETY: a new anonymous mapping overlaps nothing.
    let page = unsafe {
        mmap_anonymous(None, length, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_PRIVATE)
    }?;
    // SAFETY: the advice concerns the page that was just made.
    unsafe { madvise(page, length.get(), MmapAdvise::MADV_WIPEONFORK) }?;
    // SAFETY: zeroed, aligned, and never unmapped.
    Ok(unsafe { page.cast::<AtomicU64>().as_ref() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_knows_itself() {
        let this = ThisThread::get().unwrap();
        assert_eq!(this.tid(), nix::unistd::gettid().as_raw().cast_unsigned());
        let other = std::thread::spawn(|| ThisThread::get().unwrap().tid()).join().unwrap();
        assert_ne!(this.tid(), other);
    }

    #[test]
    fn a_process_keeps_its_lineage() {
        let first = lineage().unwrap();
        assert_ne!(first, 0);
        assert_eq!(std::thread::spawn(|| lineage().unwrap()).join().unwrap(), first);
    }
}
