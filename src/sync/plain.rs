//! Values that are stored in shared memory without encoding.
//!
//! # Safety
//! [`Plain`] guarantees that any bytes are a value, so values are read and written as bytes.
#![expect(unsafe_code, reason = "values of which any bytes are one")]

use crate::shm::word::Word64;
use std::mem::MaybeUninit;
use std::sync::atomic::Ordering;

/// A type of which any bytes are a value: integers, floats, arrays of them, and structures of them.
///
/// Define your own with [`plain!`](crate::plain), which checks the requirements.
///
/// # Safety
/// Any bytes are a value of the type, it has no padding, and it means the same in every process: it contains no
/// reference, pointer, descriptor or cell. Its alignment is at most [`MAX_ALIGN`].
pub unsafe trait Plain: Copy + Send + Sync + 'static {}

/// The largest alignment of a [`Plain`] type, in bytes.
pub const MAX_ALIGN: usize = 256;

macro_rules! plain_numbers {
    ($($type:ty)*) => {$(
        // SAFETY: any bytes are a valid number.
        unsafe impl Plain for $type {}
    )*};
}

plain_numbers! { u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize f32 f64 }

// SAFETY: an array consists of its elements, without padding.
unsafe impl<T: Plain, const N: usize> Plain for [T; N] {}

/// Defines structures that can be the value of a [`Value`](crate::sync::Value) and the elements of an
/// [`Array`](crate::sync::Array).
///
/// Their fields have [`Plain`](crate::sync::Plain) types, and leave no gaps: a structure that would have padding does not
/// compile. They are `#[repr(C)]`, [`Clone`] and [`Copy`].
#[macro_export]
macro_rules! plain {
    ($($(#[$attribute:meta])* $vis:vis struct $name:ident {
        $($(#[$field_attribute:meta])* $field_vis:vis $field:ident: $type:ty),* $(,)?
    })*) => {$(
        $(#[$attribute])*
        #[derive(Clone, Copy)]
        #[repr(C)]
        $vis struct $name {
            $($(#[$field_attribute])* $field_vis $field: $type),*
        }

        const _: () = {
            const fn is_plain<T: $crate::sync::Plain>() {}
            $(is_plain::<$type>();)*
            assert!(
                ::core::mem::size_of::<$name>() == 0 $(+ ::core::mem::size_of::<$type>())*,
                "a plain structure has no padding: order its fields by size, or add fields that fill the gaps"
            );
        };

        // SAFETY: every field is plain, and there is nothing between them.
        unsafe impl $crate::sync::Plain for $name {}
    )*};
}

/// The size of a type in words of 8 bytes, rounded up.
pub(super) const fn words<T>() -> usize {
    size_of::<T>().div_ceil(8)
}

/// Identifies the type and its size in 16 bits, so that memory is not taken for that of another type by mistake.
pub(super) fn code<T: Plain>() -> u64 {
    const { assert!(align_of::<T>() <= MAX_ALIGN, "the alignment of a plain type is at most MAX_ALIGN") };
    // FNV-1a: equal in every process of a program, and in other programs with the same type.
    let bytes = std::any::type_name::<T>().bytes().chain(size_of::<T>().to_ne_bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (hash ^ hash >> 16 ^ hash >> 32 ^ hash >> 48) & 0xffff
}

/// Writes a value word by word; the last one is filled with zeros.
#[inline(always)]
pub(super) fn to_words<T: Plain>(value: &T, mut write: impl FnMut(usize, u64)) {
    let bytes = std::ptr::from_ref(value).cast::<u8>();
    for number in 0..words::<T>() {
        let (mut word, at) = ([0_u8; 8], 8 * number);
        let len = (size_of::<T>() - at).min(8);
        // SAFETY: inside of the value, whose bytes are all initialized, for it has no padding.
        unsafe { bytes.add(at).copy_to_nonoverlapping(word.as_mut_ptr(), len) };
        write(number, u64::from_ne_bytes(word));
    }
}

/// Reads a value word by word.
#[inline(always)]
pub(super) fn from_words<T: Plain>(mut read: impl FnMut(usize) -> u64) -> T {
    let mut value = MaybeUninit::<T>::uninit();
    let bytes = value.as_mut_ptr().cast::<u8>();
    for number in 0..words::<T>() {
        let (word, at) = (read(number).to_ne_bytes(), 8 * number);
        let len = (size_of::<T>() - at).min(8);
        // SAFETY: inside of the value.
        unsafe { bytes.add(at).copy_from_nonoverlapping(word.as_ptr(), len) };
    }
    // SAFETY: every byte has been written, and any bytes are a value.
    unsafe { value.assume_init() }
}

/// A value of up to 8 bytes as one word.
#[inline(always)]
pub(super) fn to_word<T: Plain>(value: T) -> u64 {
    let mut only = 0;
    to_words(&value, |_, word| only = word);
    only
}

#[inline(always)]
pub(super) fn from_word<T: Plain>(word: u64) -> T {
    from_words(|_| word)
}

/// Changes a word by one atomic step; returns the value before.
#[inline]
pub(super) fn update<T: Plain>(word: &Word64, mut change: impl FnMut(T) -> T) -> T {
    let mut seen = word.load(Ordering::Acquire);
    loop {
        let value = from_word(seen);
        match word.compare_exchange(seen, to_word(change(value)), Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return value,
            Err(now) => seen = now,
        }
    }
}
