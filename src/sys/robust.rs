//! `set_robust_list(2)`: what the kernel does when a thread dies while it holds locks.
//!
//! For every thread the kernel stores the address of a small structure in the thread's own memory. The structure
//! refers to futex words in two ways, and when the thread ends, even by SIGKILL, the kernel checks each of them:
//! - the field `list_op_pending` refers to one word that the thread is *about to take, holding, or just releasing*.
//!   If the word contains the thread's TID, the kernel replaces it by `FUTEX_OWNER_DIED` and wakes one waiter. If it
//!   contains no TID, the thread died just before it took the lock or just after it released it, and the kernel
//!   wakes one waiter, which might otherwise never be woken;
//! - the list that begins in the field `list` refers to the words that the thread *holds*. They are treated the same,
//!   if they contain its TID.
//!
//! A lock that is held only for a few instructions of this library uses just the field (`ThisThread::announce`),
//! since no other such lock is taken meanwhile. A lock that is held while user code runs is also linked into the
//! list (`ThisThread::link`), so a thread may hold many of them and release them in any order.
//!
//! Only the kernel follows the list. Its entries are next to the locks, where a misbehaving process may overwrite
//! them, so this thread also keeps the list in its own memory, and never reads an entry back.
//!
//! A linked lock stays announced while nothing else is: a lock and its release then write less. Whatever is announced
//! meanwhile takes its place, for it is in the list.
//!
//! If the C library has registered a structure, it is used here too; its robust mutexes use it in the same way. Their
//! entries are at the front of the list, followed by ours, and each side inserts and removes its own.
//!
//! # Safety
//! The structure is in the thread's descriptor or in a thread-local of this file, so it lives as long as the thread,
//! and only this thread writes to it. A fork is detected through a page that the kernel wipes in the child. A
//! linked entry stays mapped until it is unlinked: see `ThisThread::link`.
#![expect(unsafe_code, reason = "raw system calls, and the thread's own structure that the kernel reads")]

use super::clock::monotonic_ns;
use super::membarrier;
use nix::libc;
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap_anonymous};
use std::cell::{Cell, UnsafeCell};
use std::io;
use std::num::NonZeroUsize;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering, compiler_fence};

/// The maximum number of locks that a thread can have linked at a time.
pub const MAX_LINKED: usize = 512;

/// A pointer of the list: to the next entry, or to the structure itself at the end.
type Link = AtomicPtr<libc::c_void>;

/// The entry of a lock in the list.
pub(crate) type Entry = Link;

/// Space next to a lock for its list entry, which is at the same offset as in the C library's own mutexes.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Links([Link; Links::LEN]);

impl Links {
    const LEN: usize = 6;

    /// Which of the places is the entry of the lock that is the word 8 bytes before this room.
    fn place(futex_offset: libc::c_long) -> Option<usize> {
        let offset = usize::try_from(-futex_offset).ok()?.checked_sub(8)?;
        // The place before the entry is left alone: the C library writes there, for it links both ways.
        (offset.is_multiple_of(8) && (1..Self::LEN).contains(&(offset / 8))).then_some(offset / 8)
    }
}

/// `struct robust_list_head` of `<linux/futex.h>`.
#[repr(C)]
struct Head {
    list: Link,
    futex_offset: libc::c_long,
    list_op_pending: Link,
}

/// The entries that this thread has linked, oldest first. The list has them in the opposite order.
struct Linked {
    count: Cell<usize>,
    entries: [Cell<*const Link>; MAX_LINKED],
}

/// The calling thread, as a potential owner of robust futexes.
#[derive(Debug, Clone, Copy)]
pub struct ThisThread {
    lineage: u64,
    pid: u32,
    tid: u32,
    head: *const Head,
    linked: *const Linked,
    /// The place of entries in their [`Links`]; past its end where the C library has them in an unknown one.
    place: usize,
}

thread_local! {
    static CACHED: Cell<ThisThread> = const {
        Cell::new(ThisThread {
            lineage: 0,
            pid: 0,
            tid: 0,
            head: std::ptr::null(),
            linked: std::ptr::null(),
            place: usize::MAX,
        })
    };
    /// Used only where the C library has registered none.
    static OWN_HEAD: UnsafeCell<Head> = const {
        UnsafeCell::new(Head {
            list: AtomicPtr::new(null_mut()),
            // The offset from the entry back to the word, as in 64-bit C libraries.
            futex_offset: -32,
            list_op_pending: AtomicPtr::new(null_mut()),
        })
    };
    static LINKED: Linked = const {
        Linked { count: Cell::new(0), entries: [const { Cell::new(std::ptr::null()) }; MAX_LINKED] }
    };
}

impl ThisThread {
    /// The calling thread. The result is cached until the process is forked.
    ///
    /// # Errors
    /// When the kernel has no robust futexes or there is not enough memory.
    #[inline(always)]
    pub fn get() -> io::Result<Self> {
        match Self::known() {
            Some(known) => Ok(known),
            None => Self::find(),
        }
    }

    /// The calling thread, if it was found before.
    #[inline(always)]
    pub(crate) fn known() -> Option<Self> {
        let cached = CACHED.get();
        (cached.lineage == current_lineage() && cached.lineage != 0).then_some(cached)
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
        if CACHED.get().lineage != 0 {
            // A forked child holds no locks: the listed ones belong to its parent.
            LINKED.with(|linked| linked.count.set(0));
            // SAFETY: the head is this thread's.
            let own = unsafe { &*head };
            own.list_op_pending.store(null_mut(), Ordering::Relaxed);
            own.list.store(head.cast(), Ordering::Relaxed);
        }
        // `sync::robust_mutex` copes with a refusal.
        let _ = membarrier::register();
        let tid = nix::unistd::gettid().as_raw().cast_unsigned();
        // SAFETY: as in `head`.
        let place = Links::place(unsafe { (*head).futex_offset }).unwrap_or(usize::MAX);
        let linked = LINKED.with(std::ptr::from_ref);
        let found = ThisThread { lineage: lineage()?, pid: std::process::id(), tid, head, linked, place };
        CACHED.set(found);
        Ok(found)
    }

    /// The TID, which represents this thread in a robust futex (`gettid(2)`).
    #[inline]
    pub fn tid(self) -> u32 {
        self.tid
    }

    /// The PID of this process, without a system call.
    #[inline]
    pub(crate) fn pid(self) -> u32 {
        self.pid
    }

    /// Whether this is still the process in which this value was made, and not a copy of it.
    #[inline(always)]
    pub(crate) fn is_current(self) -> bool {
        current_lineage() == self.lineage
    }

    #[inline(always)]
    fn head(&self) -> &Head {
        // SAFETY: `get` created this value in this thread and process (it is not Send), so the head is valid.
        unsafe { &*self.head }
    }

    #[inline(always)]
    fn linked(&self) -> &Linked {
        // SAFETY: as in `head`.
        unsafe { &*self.linked }
    }

    /// The entry of the lock whose room this is.
    #[inline(always)]
    fn entry<'a>(&self, links: &'a Links) -> Option<&'a Link> {
        links.0.get(self.place)
    }

    /// Tells the kernel that this thread is about to take `word`, holds it or releases it; `None` where it has
    /// told so of another word, which the kernel would forget.
    #[inline(always)]
    pub(crate) fn announce(self, word: &AtomicU32) -> Option<Announced> {
        let head = self.head();
        let entry = word.as_ptr().cast::<libc::c_void>().wrapping_byte_offset(-(head.futex_offset as isize));
        let announced = head.list_op_pending.load(Ordering::Relaxed);
        if !announced.is_null() && !self.linked().is_newest(announced) {
            return None;
        }
        head.list_op_pending.store(entry, Ordering::Relaxed);
        // The kernel sees the stores of this thread in program order, so only the compiler must be kept from moving
        // the store behind the operation on the word.
        compiler_fence(Ordering::SeqCst);
        Some(Announced(self.head))
    }

    /// Clears the announcement, for tests that abandon a lock.
    #[cfg(test)]
    pub(crate) fn forget_announced(self) {
        self.head().list_op_pending.store(null_mut(), Ordering::Relaxed);
    }

    /// Whether another lock can be linked.
    ///
    /// # Errors
    /// With the reason why not.
    pub(crate) fn check_linkable(self, links: &Links) -> io::Result<()> {
        if self.is_linkable(links) {
            return Ok(());
        }
        Err(io::Error::other(match self.entry(links) {
            Some(_) => "this thread holds as many locks between processes as it can",
            None => "the C library keeps its robust locks in an unknown form",
        }))
    }

    /// Whether another lock can be linked.
    #[inline(always)]
    pub(crate) fn is_linkable(self, links: &Links) -> bool {
        self.linked().count.get() < MAX_LINKED && self.entry(links).is_some()
    }

    /// Links the lock that has this space, so that the kernel finds it if the thread ends. Does nothing if
    /// [`Self::check_linkable`] fails.
    ///
    /// # Safety
    /// The room stays mapped until [`Self::unlink`], or forever.
    #[inline(always)]
    pub(crate) unsafe fn link(self, links: &Links) {
        let (head, linked) = (self.head(), self.linked());
        let count = linked.count.get();
        let Some(entry) = self.entry(links).filter(|_| count < MAX_LINKED) else { return };
        entry.store(linked.newest(count, head).cast_mut().cast(), Ordering::Relaxed);
        // First complete, then in the list: the thread may end between any two instructions.
        compiler_fence(Ordering::SeqCst);
        linked.before(count, head).store(std::ptr::from_ref(entry).cast_mut().cast(), Ordering::Relaxed);
        linked.entries[count].set(entry);
        linked.count.set(count + 1);
        compiler_fence(Ordering::SeqCst);
    }

    /// Takes the lock whose room this is out of the list.
    #[inline(always)]
    pub(crate) fn unlink(self, links: &Links) {
        compiler_fence(Ordering::SeqCst);
        let (head, linked) = (self.head(), self.linked());
        let count = linked.count.get();
        let Some(entry) = self.entry(links).map(std::ptr::from_ref) else { return };
        let mut at = count;
        loop {
            if at == 0 {
                return;
            }
            at -= 1;
            if linked.entries[at].get() == entry {
                break;
            }
        }
        let next = linked.newest(at, head);
        linked.before(at + 1, head).store(next.cast_mut().cast(), Ordering::Relaxed);
        (at + 1..count).for_each(|above| linked.entries[above - 1].set(linked.entries[above].get()));
        linked.count.set(count - 1);
    }

    /// The entry of the lock whose room this is, if the thread has announced nothing and linked nothing.
    #[inline(always)]
    pub(crate) fn only_entry<'a>(&self, links: &'a Links) -> Option<&'a Entry> {
        let head = self.head();
        // An empty list points to itself. Then nothing of ours is in it.
        let is_free = head.list_op_pending.load(Ordering::Relaxed).is_null()
            && std::ptr::eq(head.list.load(Ordering::Relaxed), self.head.cast());
        self.entry(links).filter(|_| is_free)
    }

    /// Announces the lock of this [only entry](Self::only_entry), takes it, and links it; false if it is not free.
    ///
    /// # Safety
    /// As [`Self::link`].
    #[inline(always)]
    pub(crate) unsafe fn take_only(self, entry: &Entry, take: impl FnOnce() -> bool) -> bool {
        let (head, linked) = (self.head(), self.linked());
        let address = std::ptr::from_ref(entry).cast_mut();
        // The kernel computes the address of a word from its entry's, here as well as in the list.
        head.list_op_pending.store(address.cast(), Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
        if !take() {
            compiler_fence(Ordering::SeqCst);
            head.list_op_pending.store(null_mut(), Ordering::Relaxed);
            return false;
        }
        entry.store(self.head.cast_mut().cast(), Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
        head.list.store(address.cast(), Ordering::Relaxed);
        linked.entries[0].set(address);
        linked.count.set(1);
        compiler_fence(Ordering::SeqCst);
        true
    }

    /// The opposite, if that lock still is the only one and announced; otherwise false, and nothing has happened.
    #[inline(always)]
    pub(crate) fn release_only(self, links: &Links, release: impl FnOnce()) -> bool {
        let (head, linked) = (self.head(), self.linked());
        let Some(address) = self.entry(links).map(|entry| std::ptr::from_ref(entry).cast_mut().cast()) else {
            return false;
        };
        let is_only = linked.count.get() == 1
            && std::ptr::eq(head.list.load(Ordering::Relaxed), address)
            && std::ptr::eq(head.list_op_pending.load(Ordering::Relaxed), address);
        if is_only {
            compiler_fence(Ordering::SeqCst);
            head.list.store(self.head.cast_mut().cast(), Ordering::Relaxed);
            linked.count.set(0);
            compiler_fence(Ordering::SeqCst);
            release();
            compiler_fence(Ordering::SeqCst);
            head.list_op_pending.store(null_mut(), Ordering::Relaxed);
        }
        is_only
    }

    /// Announces `word`, which is linked, if it is not announced still.
    #[inline(always)]
    pub(crate) fn announce_again(self, word: &AtomicU32) -> Option<Announced> {
        let head = self.head();
        let entry = word.as_ptr().cast::<libc::c_void>().wrapping_byte_offset(-(head.futex_offset as isize));
        if head.list_op_pending.load(Ordering::Relaxed) == entry {
            return Some(Announced(self.head));
        }
        self.announce(word)
    }
}

impl Linked {
    /// Whether this is the entry that was linked last.
    fn is_newest(&self, entry: *mut libc::c_void) -> bool {
        self.count.get().checked_sub(1).is_some_and(|at| self.entries[at].get().cast() == entry.cast_const())
    }

    /// Where the list goes on behind the oldest `count` entries' next one: to the newest of them, or to its end.
    #[inline(always)]
    fn newest(&self, count: usize, head: &Head) -> *const Link {
        match count.checked_sub(1) {
            Some(at) => self.entries[at].get(),
            None => std::ptr::from_ref(&head.list),
        }
    }

    /// The link that leads to the entries below place `at`.
    #[inline(always)]
    fn before<'a>(&'a self, at: usize, head: &'a Head) -> &'a Link {
        if at < self.count.get() {
            // SAFETY: a linked entry stays mapped (`ThisThread::link`).
            return unsafe { &*self.entries[at].get() };
        }
        let ours = self.newest(self.count.get(), head);
        if std::ptr::eq(head.list.load(Ordering::Relaxed).cast::<Link>(), ours) {
            return &head.list;
        }
        Self::behind_the_libraries(ours, head)
    }

    /// The C library's entries stand in front of ours; they lie in mutexes that this thread holds.
    #[cold]
    fn behind_the_libraries(ours: *const Link, head: &Head) -> &Link {
        let mut link = &head.list;
        loop {
            // The lowest bit is a flag (`FUTEX_ROBUST_LIST_PI`).
            let next = link.load(Ordering::Relaxed).map_addr(|address| address & !1).cast::<Link>();
            if std::ptr::eq(next, ours) || next.is_null() {
                return link;
            }
            // SAFETY: an entry of the C library, which is valid because the kernel may follow it at any time.
            link = unsafe { &*next };
        }
    }
}

/// An announcement to the kernel. Like [`ThisThread`] it is not `Send`.
#[derive(Debug, Clone, Copy)]
pub struct Announced(*const Head);

impl Announced {
    /// Tells the kernel that there is no such word any more.
    #[inline(always)]
    pub fn withdraw(self) {
        compiler_fence(Ordering::SeqCst);
        // SAFETY: as in `announce`.
        unsafe { &*self.0 }.list_op_pending.store(null_mut(), Ordering::Relaxed);
    }
}

/// A number that differs between a process and its forks, and is never 0.
///
/// It is on a page that the kernel wipes in every forked child (`MADV_WIPEONFORK`, Linux 4.14), so reading it needs no
/// system call, unlike `getpid(2)`.
///
/// # Errors
/// When the page is unavailable.
#[inline(always)]
pub fn lineage() -> io::Result<u64> {
    match current_lineage() {
        0 => begin_lineage(),
        number => Ok(number),
    }
}

/// The same; 0 while it has not begun.
#[inline(always)]
fn current_lineage() -> u64 {
    let page = PAGE.load(Ordering::Acquire);
    // SAFETY: null, or a page that is never unmapped, stored once it was complete.
    unsafe { page.as_ref() }.map_or(0, |page| page.load(Ordering::Relaxed))
}

/// The page that is wiped; null until it is needed.
static PAGE: AtomicPtr<AtomicU64> = AtomicPtr::new(null_mut());

#[cold]
fn begin_lineage() -> io::Result<u64> {
    if PAGE.load(Ordering::Acquire).is_null() {
        let fresh = std::ptr::from_ref(wiped_page()?).cast_mut();
        // Of two threads the faster one's page is used; the other stays empty.
        let _ = PAGE.compare_exchange(null_mut(), fresh, Ordering::AcqRel, Ordering::Acquire);
    }
    // SAFETY: as in `current_lineage`, and it is not null.
    let page = unsafe { &*PAGE.load(Ordering::Acquire) };
    let fresh = monotonic_ns().rotate_left(20) ^ u64::from(std::process::id()) | 1;
    Ok(page.compare_exchange(0, fresh, Ordering::Relaxed, Ordering::Relaxed).err().unwrap_or(fresh))
}

fn wiped_page() -> io::Result<&'static AtomicU64> {
    let length = NonZeroUsize::new(size_of::<AtomicU64>()).expect("is not 0");
    // SAFETY: a new anonymous mapping overlaps nothing.
    let page = unsafe {
        mmap_anonymous(None, length, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_PRIVATE)
    }?;
    // SAFETY: the advice concerns the page that was just mapped.
    unsafe { madvise(page, length.get(), MmapAdvise::MADV_WIPEONFORK) }?;
    // SAFETY: zeroed, aligned, and never unmapped.
    Ok(unsafe { page.cast::<AtomicU64>().as_ref() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_has_its_own_tid() {
        let this = ThisThread::get().unwrap();
        assert_eq!(this.tid(), nix::unistd::gettid().as_raw().cast_unsigned());
        let other = std::thread::spawn(|| ThisThread::get().unwrap().tid()).join().unwrap();
        assert_ne!(this.tid(), other);
    }

    #[test]
    fn all_threads_of_a_process_have_one_lineage() {
        let first = lineage().unwrap();
        assert_ne!(first, 0);
        assert_eq!(std::thread::spawn(|| lineage().unwrap()).join().unwrap(), first);
    }
}
