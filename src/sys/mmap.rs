//! `memfd_create(2)`, `mmap(2)`, `fallocate(2)`: anonymous memory that several processes share.
//!
//! # Safety
//! A mapping is a shared one of a file whose size is sealed, so none of its pages can vanish (which would cause
//! SIGBUS), and it is unmapped only when its owner is dropped. Each user documents how it shares the memory.
#![expect(unsafe_code, reason = "mapping memory")]

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, FcntlArg, SealFlag, fallocate, fcntl};
use nix::libc;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::stat::fstat;
use nix::unistd::ftruncate;
use std::ffi::c_void;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;

/// Neither the size nor the seals can change.
const SEALS: SealFlag = SealFlag::F_SEAL_SHRINK.union(SealFlag::F_SEAL_GROW).union(SealFlag::F_SEAL_SEAL);

/// Creates an anonymous file of `len` zero bytes in memory. Pages are allocated when they are first written to, and
/// freed with the last descriptor or mapping.
///
/// # Errors
/// `EFBIG` above the process's limit on file size (`ulimit -f`), `EMFILE`, `ENOMEM`.
pub fn create_sealed(len: u64) -> io::Result<OwnedFd> {
    // Growing past RLIMIT_FSIZE would raise SIGXFSZ, which kills.
    if len > largest_file() {
        return Err(Errno::EFBIG.into());
    }
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    // Since Linux 6.3 an administrator can require that such memory is declared not executable.
    let no_exec = MFdFlags::from_bits_retain(libc::MFD_NOEXEC_SEAL);
    let file = match memfd_create(c"proclab", flags | no_exec) {
        Err(Errno::EINVAL) => memfd_create(c"proclab", flags),
        result => result,
    }?;
    ftruncate(&file, i64::try_from(len).map_err(|_| Errno::EFBIG)?)?;
    fcntl(&file, FcntlArg::F_ADD_SEALS(SEALS))?;
    Ok(file)
}

/// The size of a file that [`create_sealed`] created; `None` for any other file, whose size might change.
///
/// # Errors
/// When the descriptor cannot be examined.
pub fn sealed_len(file: BorrowedFd<'_>) -> io::Result<Option<u64>> {
    match fcntl(file, FcntlArg::F_GET_SEALS) {
        Ok(bits) if SealFlag::from_bits_retain(bits).contains(SEALS) => {}
        Ok(_) | Err(Errno::EINVAL) => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    Ok(u64::try_from(fstat(file)?.st_size).ok())
}

/// Allocates memory for a range of the file now, so that writing to it later cannot fail.
///
/// # Errors
/// `ENOSPC`, `ENOMEM`.
pub fn reserve(file: BorrowedFd<'_>, offset: u64, len: u64) -> io::Result<()> {
    change(file, FallocateFlags::FALLOC_FL_KEEP_SIZE, offset, len)
}

/// Frees the memory of a range of the file, which then reads as zeros.
///
/// # Errors
/// `ENOMEM`.
pub fn release(file: BorrowedFd<'_>, offset: u64, len: u64) -> io::Result<()> {
    change(file, FallocateFlags::FALLOC_FL_KEEP_SIZE | FallocateFlags::FALLOC_FL_PUNCH_HOLE, offset, len)
}

fn change(file: BorrowedFd<'_>, how: FallocateFlags, offset: u64, len: u64) -> io::Result<()> {
    let offset = i64::try_from(offset).map_err(|_| Errno::EFBIG)?;
    let len = i64::try_from(len).map_err(|_| Errno::EFBIG)?;
    loop {
        match fallocate(file, how, offset, len) {
            Err(Errno::EINTR) => {}
            result => return Ok(result?),
        }
    }
}

/// The largest file that this process may make (`RLIMIT_FSIZE`).
pub fn largest_file() -> u64 {
    getrlimit(Resource::RLIMIT_FSIZE).map_or(u64::MAX, |(soft, _)| soft)
}

/// The size of a page in bytes.
pub fn page_size() -> u64 {
    nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE)
        .ok()
        .flatten()
        .and_then(|size| u64::try_from(size).ok())
        .unwrap_or(4096)
}

/// A shared mapping of the beginning of a file.
#[derive(Debug)]
pub struct Mapping {
    base: NonNull<c_void>,
    len: NonZeroUsize,
}

// SAFETY: a mapping belongs to the process, not to a thread; its users are responsible for synchronization.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the first `len` bytes of `file`, whose [`sealed_len`] is not less.
    ///
    /// # Errors
    /// `ENOMEM`, also at the limit on address space (`ulimit -v`).
    pub fn new(file: impl AsFd, len: NonZeroUsize) -> io::Result<Self> {
        // SAFETY: a new mapping at an address that the kernel chooses overlaps nothing.
        let base = unsafe {
            mmap(None, len, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_SHARED, file, 0)
        }?;
        Ok(Mapping { base, len })
    }

    /// The address of its first byte.
    pub fn base(&self) -> NonNull<u8> {
        self.base.cast()
    }

    /// Its length in bytes, never 0.
    #[expect(clippy::len_without_is_empty, reason = "a mapping is never empty")]
    pub fn len(&self) -> usize {
        self.len.get()
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: created by `new`, and no borrow outlives it.
        let _ = unsafe { munmap(self.base, self.len.get()) };
    }
}
