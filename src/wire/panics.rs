//! Catching panics, and their messages. User code (`Serialize`, `Deserialize`, `Drop`) may panic anywhere.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs user code, and returns the message of its panic as an error.
pub(crate) fn without_panic<R>(code: impl FnOnce() -> R) -> Result<R, String> {
    catch_unwind(AssertUnwindSafe(code)).map_err(|payload| message_of(&*payload))
}

/// The payload of a panic, if it is text.
pub(crate) fn text_of(payload: &dyn Any) -> Option<&str> {
    let literal = payload.downcast_ref::<&'static str>().copied();
    literal.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
}

/// The message of a payload, which can have any type (`std::panic::panic_any`).
pub(crate) fn message_of(payload: &dyn Any) -> String {
    if let Some(text) = text_of(payload) {
        return text.to_owned();
    }
    if let Some(error) = payload.downcast_ref::<Box<dyn std::error::Error + Send + Sync>>() {
        return error.to_string();
    }
    macro_rules! shown {
        ($($kind:ty)+) => {
            $(if let Some(value) = payload.downcast_ref::<$kind>() {
                return value.to_string();
            })+
        };
    }
    shown!(Box<str> std::borrow::Cow<'static, str> std::io::Error bool char
        i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize f32 f64);
    "a panic whose payload is not text".to_owned()
}
