//! Checks a value while it is encoded: anything that its decoder could not read is refused, with the name of the
//! field.
//!
//! [`Audited`] wraps a value and each value in it, so that every call of its `Serialize` passes through [`Writer`].
//! With an auditor that records nothing, all of it compiles to the plain calls.

use super::super::control::{MOST_ENDS, NAMES_OF_ENDS};
use serde::ser::{
    Error as _, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
    SerializeTuple, SerializeTupleStruct, SerializeTupleVariant, Serializer,
};
use std::any::type_name;
use std::cell::{Cell, RefCell};

/// A compound that a value wrote or read: its name and its number of parts.
pub(super) type Compound = (&'static str, usize);

/// The name of a map, whose parts are not counted.
pub(super) const MAP: &str = "a map";

/// The maximum number of compounds that are recorded for a value. Further ones rarely differ.
const MOST_RECORDED: usize = 1000;

/// Records a compound, and returns its index.
pub(super) fn record(shape: &RefCell<Vec<Compound>>, name: &'static str) -> usize {
    let mut shape = shape.borrow_mut();
    if shape.len() == MOST_RECORDED {
        return usize::MAX;
    }
    shape.push((name, 0));
    shape.len() - 1
}

/// Observes the encoding of a value.
pub(super) trait Auditor {
    /// Whether the value may contain ends of `ipc-channel`.
    const ALLOWS_ENDS: bool;
    /// Called when an end of `ipc-channel` is written.
    fn visit_end(&self) -> Result<(), String> {
        Ok(())
    }
    /// Called when a compound begins. Returns the index at which its number of parts will be recorded.
    fn begin(&self, _name: &'static str) -> usize {
        0
    }
    /// Called when a compound ends, with its number of parts.
    fn end(&self, _at: usize, _parts: usize) {}
}

/// Checks only for values that are never supported, and records nothing.
#[derive(Debug)]
pub(super) struct Strict;

impl Auditor for Strict {
    const ALLOWS_ENDS: bool = false;
}

/// Records the shape of what is written, to compare it with what is read.
#[derive(Debug, Default)]
pub(super) struct Shape(pub(super) RefCell<Vec<Compound>>);

impl Auditor for Shape {
    const ALLOWS_ENDS: bool = false;

    fn begin(&self, name: &'static str) -> usize {
        record(&self.0, name)
    }

    fn end(&self, at: usize, parts: usize) {
        if let Some(compound) = self.0.borrow_mut().get_mut(at) {
            compound.1 = parts;
        }
    }
}

/// Counts ends of `ipc-channel`, and records the shape.
#[derive(Debug, Default)]
pub(super) struct Ends {
    pub(super) count: Cell<usize>,
    pub(super) shape: Shape,
}

impl Auditor for Ends {
    const ALLOWS_ENDS: bool = true;

    fn visit_end(&self) -> Result<(), String> {
        if self.count.get() == MOST_ENDS {
            return Err(format!(
                "it contains more than {MOST_ENDS} ends of ipc-channel, which one message cannot carry: send ends \
                 of queues"
            ));
        }
        self.count.set(self.count.get() + 1);
        Ok(())
    }

    fn begin(&self, name: &'static str) -> usize {
        self.shape.begin(name)
    }

    fn end(&self, at: usize, parts: usize) {
        self.shape.end(at, parts);
    }
}

/// A value whose encoding an auditor observes.
pub(super) struct Audited<'a, T: ?Sized, A>(pub(super) &'a T, pub(super) &'a A);

impl<T: Serialize + ?Sized, A: Auditor> Serialize for Audited<'_, T, A> {
    #[inline(always)]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // The name is a constant of the type, so for nearly all types this is optimized away.
        let name = type_name::<T>();
        if NAMES_OF_ENDS.iter().any(|end| name.starts_with(end)) {
            if !A::ALLOWS_ENDS {
                return Err(S::Error::custom(format_args!(
                    "it contains a `{}`, which can be sent only in the arguments and the result of a process",
                    type_name::<T>()
                )));
            }
            self.1.visit_end().map_err(S::Error::custom)?;
        }
        self.0.serialize(Writer { inner: serializer, auditor: self.1 })
    }
}

/// A serializer that an auditor observes.
pub(super) struct Writer<'a, S, A> {
    inner: S,
    auditor: &'a A,
}

/// The serializer of a compound that an auditor observes.
pub(super) struct Parts<'a, C, A> {
    inner: C,
    auditor: &'a A,
    name: &'static str,
    at: usize,
    count: usize,
}

impl<'a, C, A: Auditor> Parts<'a, C, A> {
    #[inline(always)]
    fn begin(inner: C, auditor: &'a A, name: &'static str) -> Self {
        Parts { inner, auditor, name, at: auditor.begin(name), count: 0 }
    }

    #[inline(always)]
    fn next<'b, T: ?Sized>(&mut self, value: &'b T) -> Audited<'b, T, A>
    where
        'a: 'b,
    {
        self.count += 1;
        Audited(value, self.auditor)
    }

    #[inline(always)]
    fn finish(self) -> C {
        self.auditor.end(self.at, self.count);
        self.inner
    }

    #[cold]
    fn skipped<E: serde::ser::Error>(&self, key: &str) -> E {
        E::custom(format_args!(
            "field `{key}` of `{}` is skipped (`skip_serializing_if`), and the decoder would read the next field \
             instead of it: remove the attribute",
            self.name
        ))
    }
}

macro_rules! forward {
    ($($method:ident($value:ty)),+ $(,)?) => {
        $(
            #[inline(always)]
            fn $method(self, value: $value) -> Result<S::Ok, S::Error> {
                self.inner.$method(value)
            }
        )+
    };
}

impl<'a, S: Serializer, A: Auditor> Serializer for Writer<'a, S, A> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Parts<'a, S::SerializeSeq, A>;
    type SerializeTuple = Parts<'a, S::SerializeTuple, A>;
    type SerializeTupleStruct = Parts<'a, S::SerializeTupleStruct, A>;
    type SerializeTupleVariant = Parts<'a, S::SerializeTupleVariant, A>;
    type SerializeMap = Parts<'a, S::SerializeMap, A>;
    type SerializeStruct = Parts<'a, S::SerializeStruct, A>;
    type SerializeStructVariant = Parts<'a, S::SerializeStructVariant, A>;

    forward! {
        serialize_bool(bool), serialize_i8(i8), serialize_i16(i16), serialize_i32(i32), serialize_i64(i64),
        serialize_i128(i128), serialize_u8(u8), serialize_u16(u16), serialize_u32(u32), serialize_u64(u64),
        serialize_u128(u128), serialize_f32(f32), serialize_f64(f64), serialize_char(char),
        serialize_str(&str), serialize_bytes(&[u8]),
    }

    #[inline(always)]
    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        self.inner.serialize_none()
    }

    #[inline(always)]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.inner.serialize_some(&Audited(value, self.auditor))
    }

    #[inline(always)]
    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        self.inner.serialize_unit()
    }

    #[inline(always)]
    fn serialize_unit_struct(self, name: &'static str) -> Result<S::Ok, S::Error> {
        self.inner.serialize_unit_struct(name)
    }

    #[inline(always)]
    fn serialize_unit_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<S::Ok, S::Error> {
        self.inner.serialize_unit_variant(name, index, variant)
    }

    #[inline(always)]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.inner.serialize_newtype_struct(name, &Audited(value, self.auditor))
    }

    #[inline(always)]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.inner.serialize_newtype_variant(name, index, variant, &Audited(value, self.auditor))
    }

    #[inline(always)]
    fn serialize_seq(self, len: Option<usize>) -> Result<Self::SerializeSeq, S::Error> {
        Ok(Parts::begin(self.inner.serialize_seq(len)?, self.auditor, "a sequence"))
    }

    #[inline(always)]
    fn serialize_tuple(self, len: usize) -> Result<Self::SerializeTuple, S::Error> {
        Ok(Parts::begin(self.inner.serialize_tuple(len)?, self.auditor, "a tuple"))
    }

    #[inline(always)]
    fn serialize_tuple_struct(
        self,
        name: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleStruct, S::Error> {
        Ok(Parts::begin(self.inner.serialize_tuple_struct(name, len)?, self.auditor, name))
    }

    #[inline(always)]
    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleVariant, S::Error> {
        let inner = self.inner.serialize_tuple_variant(name, index, variant, len)?;
        Ok(Parts::begin(inner, self.auditor, variant))
    }

    #[inline(always)]
    fn serialize_map(self, len: Option<usize>) -> Result<Self::SerializeMap, S::Error> {
        if len.is_none() {
            return Err(S::Error::custom(
                "a map does not know its length in advance (`#[serde(flatten)]`): name its fields",
            ));
        }
        Ok(Parts::begin(self.inner.serialize_map(len)?, self.auditor, MAP))
    }

    #[inline(always)]
    fn serialize_struct(self, name: &'static str, len: usize) -> Result<Self::SerializeStruct, S::Error> {
        Ok(Parts::begin(self.inner.serialize_struct(name, len)?, self.auditor, name))
    }

    #[inline(always)]
    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        let inner = self.inner.serialize_struct_variant(name, index, variant, len)?;
        Ok(Parts::begin(inner, self.auditor, variant))
    }

    #[inline(always)]
    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

macro_rules! parts {
    ($($compound:ident: $method:ident($($key:ident: $type:ty)?) $($skip:ident)?;)+) => {
        $(
            impl<C: $compound, A: Auditor> $compound for Parts<'_, C, A> {
                type Ok = C::Ok;
                type Error = C::Error;

                #[inline(always)]
                fn $method<T: Serialize + ?Sized>(&mut self, $($key: $type,)? value: &T) -> Result<(), C::Error> {
                    let value = self.next(value);
                    self.inner.$method($($key,)? &value)
                }

                $(
                    fn $skip(&mut self, key: &'static str) -> Result<(), C::Error> {
                        Err(self.skipped(key))
                    }
                )?

                #[inline(always)]
                fn end(self) -> Result<C::Ok, C::Error> {
                    self.finish().end()
                }
            }
        )+
    };
}

parts! {
    SerializeSeq: serialize_element();
    SerializeTuple: serialize_element();
    SerializeTupleStruct: serialize_field();
    SerializeTupleVariant: serialize_field();
    SerializeStruct: serialize_field(key: &'static str) skip_field;
    SerializeStructVariant: serialize_field(key: &'static str) skip_field;
}

impl<C: SerializeMap, A: Auditor> SerializeMap for Parts<'_, C, A> {
    type Ok = C::Ok;
    type Error = C::Error;

    #[inline(always)]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), C::Error> {
        self.inner.serialize_key(&Audited(key, self.auditor))
    }

    #[inline(always)]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
        self.inner.serialize_value(&Audited(value, self.auditor))
    }

    #[inline(always)]
    fn end(self) -> Result<C::Ok, C::Error> {
        self.finish().end()
    }
}
