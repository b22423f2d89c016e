//! A value that is one number, or nothing, as a word: the same bytes as by `bincode`, without a buffer.

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer, forward_to_deserialize_any, ser};
use std::fmt;

/// The value as little-endian bytes in a word, and their number; `None` if it is not one number.
#[inline(always)]
pub(crate) fn to_word<T: Serialize>(value: &T) -> Option<(u64, usize)> {
    value.serialize(ToWord).ok()
}

/// The value whose `len` bytes are in this word; `None` if it is not one number of that width.
#[inline(always)]
pub(crate) fn from_word<'de, T: Deserialize<'de>>(word: u64, len: usize) -> Option<T> {
    T::deserialize(FromWord { word, len }).ok()
}

/// The value is something else. What exactly, `bincode` finds out.
#[derive(Debug)]
struct NotANumber;

impl fmt::Display for NotANumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a number")
    }
}

impl std::error::Error for NotANumber {}

impl ser::Error for NotANumber {
    fn custom<M: fmt::Display>(_: M) -> Self {
        NotANumber
    }
}

impl de::Error for NotANumber {
    fn custom<M: fmt::Display>(_: M) -> Self {
        NotANumber
    }
}

struct ToWord;

type Word = Result<(u64, usize), NotANumber>;
type Nothing = ser::Impossible<(u64, usize), NotANumber>;

macro_rules! write_numbers {
    ($($method:ident $type:ty, $bits:expr;)*) => {$(
        #[inline(always)]
        fn $method(self, value: $type) -> Word {
            Ok(($bits(value), size_of::<$type>()))
        }
    )*};
}

macro_rules! refuse {
    ($($method:ident($($argument:ty),*) -> $result:ty;)*) => {$(
        #[inline(always)]
        fn $method(self, $(_: $argument),*) -> Result<$result, NotANumber> {
            Err(NotANumber)
        }
    )*};
}

impl Serializer for ToWord {
    type Ok = (u64, usize);
    type Error = NotANumber;
    type SerializeSeq = Nothing;
    type SerializeTuple = Nothing;
    type SerializeTupleStruct = Nothing;
    type SerializeTupleVariant = Nothing;
    type SerializeMap = Nothing;
    type SerializeStruct = Nothing;
    type SerializeStructVariant = Nothing;

    write_numbers! {
        serialize_bool bool, u64::from;
        serialize_u8 u8, u64::from;
        serialize_u16 u16, u64::from;
        serialize_u32 u32, u64::from;
        serialize_u64 u64, u64::from;
        serialize_i8 i8, |value: i8| value.cast_unsigned().into();
        serialize_i16 i16, |value: i16| value.cast_unsigned().into();
        serialize_i32 i32, |value: i32| value.cast_unsigned().into();
        serialize_i64 i64, i64::cast_unsigned;
        serialize_f32 f32, |value: f32| value.to_bits().into();
        serialize_f64 f64, f64::to_bits;
    }

    refuse! {
        serialize_char(char) -> (u64, usize);
        serialize_str(&str) -> (u64, usize);
        serialize_bytes(&[u8]) -> (u64, usize);
        serialize_none() -> (u64, usize);
        serialize_unit_variant(&'static str, u32, &'static str) -> (u64, usize);
        serialize_seq(Option<usize>) -> Nothing;
        serialize_tuple(usize) -> Nothing;
        serialize_tuple_struct(&'static str, usize) -> Nothing;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Nothing;
        serialize_map(Option<usize>) -> Nothing;
        serialize_struct(&'static str, usize) -> Nothing;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Nothing;
    }

    #[inline(always)]
    fn serialize_unit(self) -> Word {
        Ok((0, 0))
    }

    #[inline(always)]
    fn serialize_unit_struct(self, _: &'static str) -> Word {
        Ok((0, 0))
    }

    #[inline(always)]
    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Word {
        Err(NotANumber)
    }

    #[inline(always)]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Word {
        value.serialize(self)
    }

    #[inline(always)]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Word {
        Err(NotANumber)
    }

    #[inline(always)]
    fn collect_str<T: fmt::Display + ?Sized>(self, _: &T) -> Word {
        Err(NotANumber)
    }

    #[inline(always)]
    fn is_human_readable(&self) -> bool {
        false
    }
}

struct FromWord {
    word: u64,
    len: usize,
}

macro_rules! read_numbers {
    ($($method:ident $visit:ident $type:ty, $value:expr;)*) => {$(
        #[inline(always)]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotANumber> {
            if self.len == size_of::<$type>() { visitor.$visit($value(self.word)) } else { Err(NotANumber) }
        }
    )*};
}

impl<'de> Deserializer<'de> for FromWord {
    type Error = NotANumber;

    read_numbers! {
        deserialize_u8 visit_u8 u8, |word| word as u8;
        deserialize_u16 visit_u16 u16, |word| word as u16;
        deserialize_u32 visit_u32 u32, |word| word as u32;
        deserialize_u64 visit_u64 u64, |word| word;
        deserialize_i8 visit_i8 i8, |word| word as i8;
        deserialize_i16 visit_i16 i16, |word| word as i16;
        deserialize_i32 visit_i32 i32, |word| word as i32;
        deserialize_i64 visit_i64 i64, |word| word as i64;
        deserialize_f32 visit_f32 f32, |word| f32::from_bits(word as u32);
        deserialize_f64 visit_f64 f64, f64::from_bits;
    }

    #[inline(always)]
    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotANumber> {
        match (self.word as u8, self.len) {
            (0, 1) => visitor.visit_bool(false),
            (1, 1) => visitor.visit_bool(true),
            _ => Err(NotANumber),
        }
    }

    #[inline(always)]
    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotANumber> {
        if self.len == 0 { visitor.visit_unit() } else { Err(NotANumber) }
    }

    #[inline(always)]
    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, NotANumber> {
        self.deserialize_unit(visitor)
    }

    #[inline(always)]
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, NotANumber> {
        visitor.visit_newtype_struct(self)
    }

    #[inline(always)]
    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, NotANumber> {
        Err(NotANumber)
    }

    #[inline(always)]
    fn is_human_readable(&self) -> bool {
        false
    }

    forward_to_deserialize_any! {
        i128 u128 char str string bytes byte_buf option seq tuple tuple_struct map struct enum
        identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Message, decode, encode};
    use super::*;

    fn is_the_same_as_by_bincode<T: Message + PartialEq + fmt::Debug>(value: T) {
        let bytes = encode(&value).unwrap();
        let (word, len) = to_word(&value).unwrap();
        assert_eq!(bytes, word.to_le_bytes()[..len]);
        assert_eq!(from_word::<T>(word, len).unwrap(), value);
        assert_eq!(decode::<T>(&bytes).unwrap(), value);
    }

    #[test]
    fn a_number_is_a_word_with_the_bytes_of_its_encoding() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Wrapped(i32);
        is_the_same_as_by_bincode(true);
        is_the_same_as_by_bincode(200_u8);
        is_the_same_as_by_bincode(-2_i8);
        is_the_same_as_by_bincode(60_000_u16);
        is_the_same_as_by_bincode(-3_i16);
        is_the_same_as_by_bincode(u32::MAX);
        is_the_same_as_by_bincode(i64::MIN);
        is_the_same_as_by_bincode(usize::MAX);
        is_the_same_as_by_bincode(-0.5_f32);
        is_the_same_as_by_bincode(f64::MAX);
        is_the_same_as_by_bincode(Wrapped(-7));
        is_the_same_as_by_bincode(());
    }

    #[test]
    fn what_is_not_one_number_is_left_to_bincode() {
        assert!(to_word(&"text").is_none());
        assert!(to_word(&(1_u8, 2_u8)).is_none());
        assert!(to_word(&Some(1_u8)).is_none());
        assert!(to_word(&1_u128).is_none());
        assert!(from_word::<(u8, u8)>(0, 2).is_none());
        assert!(from_word::<Option<u8>>(0, 1).is_none());
        assert!(from_word::<bool>(2, 1).is_none(), "not a bool");
        assert!(from_word::<u32>(0, 8).is_none(), "of another width");
    }
}
