//! A region of shared memory: atomic words, and bytes that a protocol guards.
//!
//! # Safety
//! Every access is checked against the length of the mapping, and words for their alignment. Words are accessed only
//! as atomics. Bytes are copied, never borrowed, because a misbehaving process may write to them at any time; readers
//! check what they read.
#![expect(unsafe_code, reason = "pointers into a mapping")]

use super::word::{Word32, Word64};
use crate::sys::mmap::{self, Mapping};
use nix::sys::uio::{pread, pwrite};
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The smallest page size of any supported processor, in bytes.
const SMALLEST_PAGE: NonZeroUsize = NonZeroUsize::new(4096).unwrap();

/// A type that consists only of words, so it can be placed in shared memory.
///
/// # Safety
/// The type must be `repr(C)`, every field a word or an atomic of the standard library, and any bytes a valid value.
pub(crate) unsafe trait Words {}

/// A sealed file in memory whose beginning is mapped. The rest is accessed by reading and writing the file, and uses no
/// address space.
#[derive(Debug)]
pub struct Region {
    file: OwnedFd,
    file_len: u64,
    mapping: Mapping,
}

/// A region could not be created or opened.
#[derive(Debug, thiserror::Error)]
pub enum RegionError {
    /// The descriptor is not sealed shared memory, so its size could change.
    #[error("not sealed shared memory of this library")]
    NotSealed,
    /// It is shorter than required.
    #[error("it has {is} bytes and needs {needs}")]
    TooShort {
        /// The number of bytes that it has.
        is: u64,
        /// The number of bytes that it needs.
        needs: u64,
    },
    /// The kernel refused.
    #[error("shared memory is unavailable")]
    Os(#[from] io::Error),
}

impl Region {
    /// Creates a region of `file_len` zero bytes, of which the first `mapped` are mapped.
    ///
    /// # Errors
    /// [`RegionError::Os`].
    pub fn create(file_len: u64, mapped: usize) -> Result<Self, RegionError> {
        Self::map(mmap::create_sealed(file_len)?, file_len, mapped)
    }

    /// Opens a region that another process has created. `mapped` computes the length to map from its first bytes and
    /// its length.
    ///
    /// # Errors
    /// [`RegionError`], or the error of `mapped`. Only the seals are trusted.
    pub fn open<const N: usize, E: From<RegionError>>(
        file: OwnedFd,
        mapped: impl FnOnce(&[u8; N], u64) -> Result<usize, E>,
    ) -> Result<Self, E> {
        let file_len = mmap::sealed_len(file.as_fd()).map_err(RegionError::Os)?;
        let file_len = file_len.ok_or(RegionError::NotSealed)?;
        if file_len < N as u64 {
            return Err(RegionError::TooShort { is: file_len, needs: N as u64 }.into());
        }
        let mut beginning = [0; N];
        read_exact(file.as_fd(), &mut beginning, 0).map_err(RegionError::Os)?;
        let mapped = mapped(&beginning, file_len)?;
        Ok(Self::map(file, file_len, mapped)?)
    }

    fn map(file: OwnedFd, file_len: u64, mapped: usize) -> Result<Self, RegionError> {
        let needs = mapped as u64;
        let len = NonZeroUsize::new(mapped).filter(|_| needs <= file_len);
        let len = len.ok_or(RegionError::TooShort { is: file_len, needs })?;
        // `check` relies on a whole page being mapped. If the file is shorter, the rest of its last page is accessible.
        Ok(Region { mapping: Mapping::new(&file, len.max(SMALLEST_PAGE))?, file, file_len })
    }

    /// The file, which can be sent to another process.
    pub fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// The 32-bit word at `offset`.
    ///
    /// # Panics
    /// When it is outside the mapping or not aligned. Offsets are computed, never read from shared memory.
    #[inline(always)]
    pub fn word32(&self, offset: usize) -> &Word32 {
        &self.words32::<1>(offset)[0]
    }

    /// `N` 32-bit words, the first at `offset`.
    ///
    /// # Panics
    /// As [`Region::word32`].
    #[inline(always)]
    pub fn words32<const N: usize>(&self, offset: usize) -> &[Word32; N] {
        self.check(offset, 4 * N);
        assert!(offset.is_multiple_of(4), "the word at {offset} is not aligned");
        // SAFETY: inside the mapping, aligned (the mapping begins on a page), and accessed only as atomics.
        unsafe { self.mapping.base().add(offset).cast().as_ref() }
    }

    /// The 64-bit word at `offset`.
    ///
    /// # Panics
    /// As [`Region::word32`].
    #[inline(always)]
    pub fn word(&self, offset: usize) -> &Word64 {
        &self.words::<1>(offset)[0]
    }

    /// `N` 64-bit words, the first at `offset`.
    ///
    /// # Panics
    /// As [`Region::word32`].
    #[inline(always)]
    pub fn words<const N: usize>(&self, offset: usize) -> &[Word64; N] {
        self.check(offset, 8 * N);
        assert!(offset.is_multiple_of(8), "the word at {offset} is not aligned");
        // SAFETY: as in `words32`.
        unsafe { self.mapping.base().add(offset).cast().as_ref() }
    }

    /// The structure of words at `offset`.
    ///
    /// # Panics
    /// As [`Region::word32`].
    #[inline(always)]
    pub(crate) fn at<T: Words>(&self, offset: usize) -> &T {
        self.check(offset, size_of::<T>());
        assert!(offset.is_multiple_of(align_of::<T>()), "the structure at {offset} is not aligned");
        // SAFETY: inside the mapping, aligned (the mapping begins on a page), and made of atomics.
        unsafe { self.mapping.base().add(offset).cast().as_ref() }
    }

    /// The address of the `len` bytes at `offset`.
    ///
    /// # Panics
    /// When they are outside the mapping.
    pub(crate) fn address(&self, offset: usize, len: usize) -> std::ptr::NonNull<u8> {
        self.check(offset, len);
        self.mapping.base().map_addr(|base| base.saturating_add(offset))
    }

    /// Copies `bytes` to `offset`.
    ///
    /// # Panics
    /// When they are outside the mapping.
    #[inline]
    pub fn put(&self, offset: usize, bytes: &[u8]) {
        self.check(offset, bytes.len());
        // SAFETY: inside the mapping, which no slice of this process overlaps.
        unsafe {
            self.mapping.base().as_ptr().add(offset).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len())
        }
    }

    /// Appends the `len` bytes at `offset` to `buffer`.
    ///
    /// # Panics
    /// When they are outside the mapping.
    #[inline]
    pub fn append_to(&self, buffer: &mut Vec<u8>, offset: usize, len: usize) {
        self.check(offset, len);
        buffer.reserve(len);
        // SAFETY: inside the mapping; the buffer has capacity for `len` more bytes, which are initialized before its
        // length includes them.
        unsafe {
            let end = buffer.as_mut_ptr().add(buffer.len());
            self.mapping.base().as_ptr().add(offset).copy_to_nonoverlapping(end, len);
            buffer.set_len(buffer.len() + len);
        }
    }

    #[inline(always)]
    fn check(&self, offset: usize, len: usize) {
        // Every mapping has at least one page, so the compiler removes this check for constant offsets.
        let in_first_page = offset <= SMALLEST_PAGE.get() && len <= SMALLEST_PAGE.get() - offset;
        let inside = in_first_page || offset.checked_add(len).is_some_and(|end| end <= self.mapping.len());
        assert!(inside, "{len} bytes at {offset} are outside the {} mapped bytes", self.mapping.len());
    }

    /// Writes `bytes` at `offset` in the file, mapped or not.
    ///
    /// # Errors
    /// `ENOSPC` or `ENOMEM` when there is not enough memory, `EINVAL` outside the file.
    pub fn write(&self, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            match pwrite(&self.file, bytes, signed(offset)?) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => {
                    bytes = &bytes[n..];
                    offset += n as u64;
                }
                Err(nix::errno::Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Fills `buffer` from `offset` in the file, mapped or not.
    ///
    /// # Errors
    /// `UnexpectedEof` outside the file.
    pub fn read(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        read_exact(self.file.as_fd(), buffer, offset)
    }

    /// Allocates memory for a range now, so that writing to it later cannot fail.
    ///
    /// # Errors
    /// `ENOSPC`, `ENOMEM`.
    pub fn reserve(&self, offset: u64, len: u64) -> io::Result<()> {
        mmap::reserve(self.file.as_fd(), offset, len)
    }

    /// Frees the memory of a range, which then reads as zeros.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn release(&self, offset: u64, len: u64) -> io::Result<()> {
        mmap::release(self.file.as_fd(), offset, len)
    }

    /// The number of the file's inode, which no other region has at the same time.
    ///
    /// # Errors
    /// None that a caller can cause.
    pub fn inode(&self) -> io::Result<u64> {
        Ok(nix::sys::stat::fstat(&self.file)?.st_ino)
    }

    /// The length of the file.
    pub fn file_len(&self) -> u64 {
        self.file_len
    }
}

fn signed(offset: u64) -> io::Result<i64> {
    i64::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput.into())
}

fn read_exact(file: BorrowedFd<'_>, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        match pread(file, buffer, signed(offset)?) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => {
                buffer = &mut buffer[n..];
                offset += n as u64;
            }
            Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
