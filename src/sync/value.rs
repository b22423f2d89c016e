//! A number that processes share without a lock.

use super::error::SetupError;
use super::plain::{Plain, update};
use super::shared::{Kind, Shared};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::sync::atomic::Ordering;

const NUMBER: usize = 0;

/// A number in shared memory: Python's `Value`, without a lock.
///
/// Every operation is one atomic step, which a kill does or does not interrupt: the number is never torn, and no
/// process waits. A value that is not one number has a [`super::Mutex`]. It travels as that does.
///
/// ```
/// let sold = proclab::sync::Value::new(0_u64)?;
/// sold.update(|sold| sold + 1);
/// assert_eq!(sold.get(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Value<T> {
    pub(super) shared: Shared,
    number: PhantomData<fn() -> T>,
}

fn sizes<T: Plain>(code: u64) -> Option<(u64, usize)> {
    (code == T::CODE).then_some((0, 0))
}

impl<T: Plain> Value<T> {
    /// Shared memory with this number.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn new(number: T) -> Result<Self, SetupError> {
        let value = Value { shared: Shared::create(Kind::Value, T::CODE, 0, 0)?, number: PhantomData };
        value.set(number);
        Ok(value)
    }

    /// The number now. What another process wrote before it stored that number is seen as well.
    pub fn get(&self) -> T {
        T::from_word(self.shared.word(NUMBER).load(Ordering::Acquire))
    }

    /// Stores a number.
    pub fn set(&self, number: T) {
        self.shared.word(NUMBER).store(number.to_word(), Ordering::Release);
    }

    /// Stores what `change` makes of the number, in one atomic step, and returns the number before. `change` is
    /// called again if another process was faster.
    pub fn update(&self, change: impl FnMut(T) -> T) -> T {
        update(self.shared.word(NUMBER), change)
    }

    /// Stores `new` if the number is `current`, compared by its bytes.
    ///
    /// # Errors
    /// The number, if it is another one.
    pub fn compare_exchange(&self, current: T, new: T) -> Result<T, T> {
        let word = self.shared.word(NUMBER);
        word.compare_exchange(current.to_word(), new.to_word(), Ordering::AcqRel, Ordering::Acquire)
            .map(T::from_word)
            .map_err(T::from_word)
    }

    /// Another handle of the same number.
    ///
    /// # Errors
    /// At the limit of open files or of address space.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Value { shared: self.shared.try_clone(Kind::Value, sizes::<T>)?, number: PhantomData })
    }
}

impl<T: Plain + fmt::Debug> fmt::Debug for Value<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Value").field(&self.get()).finish()
    }
}

impl<T> Serialize for Value<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.shared.serialize(serializer)
    }
}

impl<'de, T: Plain> Deserialize<'de> for Value<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Value { shared: Shared::deserialize(deserializer, Kind::Value, sizes::<T>)?, number: PhantomData })
    }
}
