//! Numbers that lie in shared memory as they are.

use crate::shm::word::Word64;
use std::sync::atomic::Ordering;

mod sealed {
    pub trait Sealed {}
}

/// A number of which any bytes are a value: integers and floats of up to 8 bytes.
pub trait Plain: Copy + sealed::Sealed + 'static {
    /// Which type it is, so that memory is not taken for an array of another one.
    #[doc(hidden)]
    const CODE: u64;
    #[doc(hidden)]
    fn to_word(self) -> u64;
    #[doc(hidden)]
    fn from_word(word: u64) -> Self;
}

macro_rules! plain {
    ($($code:literal $type:ty, $unsigned:ty;)*) => {$(
        impl sealed::Sealed for $type {}
        impl Plain for $type {
            const CODE: u64 = $code << 8 | size_of::<$type>() as u64;

            fn to_word(self) -> u64 {
                u64::from(<$unsigned>::from_ne_bytes(self.to_ne_bytes()))
            }

            fn from_word(word: u64) -> Self {
                <$type>::from_ne_bytes((word as $unsigned).to_ne_bytes())
            }
        }
    )*};
}

plain! {
    1 u8, u8;
    1 u16, u16;
    1 u32, u32;
    1 u64, u64;
    2 i8, u8;
    2 i16, u16;
    2 i32, u32;
    2 i64, u64;
    3 f32, u32;
    3 f64, u64;
}

/// Changes a word by one atomic step; returns the value before.
pub(super) fn update<T: Plain>(word: &Word64, mut change: impl FnMut(T) -> T) -> T {
    let mut seen = word.load(Ordering::Acquire);
    loop {
        let value = T::from_word(seen);
        match word.compare_exchange(seen, change(value).to_word(), Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return value,
            Err(now) => seen = now,
        }
    }
}
