//! Trial decoding by the sender, so that values that cannot be decoded are refused there instead of failing at a
//! receiver.
//!
//! A type that needs a self-describing format (`untagged` and internally tagged enums, `serde_json::Value`) cannot be
//! decoded from these bytes, but its encoding does not show that. So the sender decodes the bytes of a value once.
//! Which branches a decoder takes depends on the value: [`Trace`] records each place where it could have taken another
//! (an `Option`, the variants of an enum, a list that is empty or not). Once all branches have been taken, every value
//! of the type can be decoded, and from then on its values are sent without a trial.

use super::audit::{Compound, MAP, record};
use serde::de::{DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;

/// The maximum number of places that are recorded. A type with more is recursive, and each of its values is tried.
const MOST_PLACES: usize = 512;

/// The places of a type where its decoder branches, and the branches that were taken.
#[derive(Debug, Default)]
pub(super) struct Ways {
    seen: HashMap<u64, (usize, u128)>,
    /// The number of values that were tried.
    pub(super) trials: usize,
}

impl Ways {
    pub(super) fn add(&mut self, trace: &Trace) {
        self.trials += 1;
        for (place, ways, way) in trace.places.borrow().iter() {
            if self.seen.len() < MOST_PLACES || self.seen.contains_key(place) {
                let (_, seen) = self.seen.entry(*place).or_insert((*ways, 0));
                *seen |= 1_u128.checked_shl(*way).unwrap_or(0);
            } else {
                self.trials = usize::MAX / 2;
            }
        }
    }

    /// Whether every branch has been taken.
    pub(super) fn are_all_seen(&self) -> bool {
        self.trials < usize::MAX / 2
            && self.seen.values().all(|(ways, seen)| seen.count_ones() as usize == *ways)
    }
}

/// The path of a decoder through a value.
#[derive(Debug, Default)]
pub(super) struct Trace {
    /// The current place, as a hash of the branches that led there.
    path: Cell<u64>,
    /// The names of the fields and variants that led there.
    names: RefCell<Vec<&'static str>>,
    places: RefCell<Vec<(u64, usize, u32)>>,
    /// The structs and variants that it read.
    pub(super) shape: RefCell<Vec<Compound>>,
    /// Why it cannot continue.
    pub(super) refusal: RefCell<Option<String>>,
}

impl Trace {
    // What does not depend on the type is outside of the generic functions, of which there is one for each type and field:
    // they would be an eighth of the code of the whole crate.

    #[inline(never)]
    fn choose(&self, ways: usize, way: u32) {
        self.places.borrow_mut().push((self.path.get(), ways, way));
        self.step(u64::from(way) + 1);
    }

    fn step(&self, way: u64) {
        self.path.set((self.path.get() ^ way).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(23));
    }

    fn refuse<E: serde::de::Error>(&self, what: &str) -> E {
        let names = self.names.borrow();
        let place = if names.is_empty() { "it".to_owned() } else { format!("`{}`", names.join(".")) };
        let reason = format!("{place} {what}");
        self.refusal.borrow_mut().get_or_insert_with(|| reason.clone());
        E::custom(reason)
    }

    /// Runs `part` one level deeper, and returns to this place.
    fn within<R>(&self, way: u64, name: Option<&'static str>, part: impl FnOnce() -> R) -> R {
        let path = self.enter(way, name);
        let result = part();
        self.leave(path, name.is_some());
        result
    }

    /// Goes one level deeper, and returns the place to return to.
    #[inline(never)]
    fn enter(&self, way: u64, name: Option<&'static str>) -> u64 {
        let path = self.path.get();
        self.step(way);
        if let Some(name) = name {
            self.names.borrow_mut().push(name);
        }
        path
    }

    #[inline(never)]
    fn leave(&self, path: u64, is_named: bool) {
        // After an error the names keep its place.
        if is_named && self.refusal.borrow().is_none() {
            self.names.borrow_mut().pop();
        }
        self.path.set(path);
    }

    /// Records that a compound begins, and returns the index at which its number of parts will be recorded.
    #[inline(never)]
    fn begin(&self, name: &'static str, size_hint: Option<usize>) -> usize {
        if name == LIST || name == MAP {
            // All elements have one type, so the first represents all.
            self.choose(2, u32::from(size_hint != Some(0)));
        }
        record(&self.shape, name)
    }

    #[inline(never)]
    fn count(&self, at: usize, parts: usize) {
        if let Some(compound) = self.shape.borrow_mut().get_mut(at) {
            compound.1 = parts;
        }
    }
}

/// A decoder, or part of one, that a trace records.
pub(super) struct Traced<'t, I> {
    pub(super) inner: I,
    pub(super) trace: &'t Trace,
}

/// Decodes a value while a trace records it, and drops the value.
pub(super) struct Tried<'t, T>(pub(super) &'t Trace, pub(super) std::marker::PhantomData<T>);

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for Tried<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        T::deserialize(Traced { inner: deserializer, trace: self.0 }).map(drop)
    }
}

macro_rules! forward {
    ($($method:ident),+ $(,)?) => {
        $(
            fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
                self.inner.$method(visitor)
            }
        )+
    };
}

const SELF_DESCRIBING: &str = "needs a self-describing format, which this is not: `untagged`, `tag` and `flatten` of \
    serde, and values such as `serde_json::Value`, cannot be sent; send an enum without these attributes, or text";

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Traced<'_, D> {
    type Error = D::Error;

    forward! {
        deserialize_bool, deserialize_i8, deserialize_i16, deserialize_i32, deserialize_i64, deserialize_i128,
        deserialize_u8, deserialize_u16, deserialize_u32, deserialize_u64, deserialize_u128, deserialize_f32,
        deserialize_f64, deserialize_char, deserialize_str, deserialize_string, deserialize_bytes,
        deserialize_byte_buf, deserialize_unit,
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, D::Error> {
        Err(self.trace.refuse(SELF_DESCRIBING))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, D::Error> {
        Err(self.trace.refuse(SELF_DESCRIBING))
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, _: V) -> Result<V::Value, D::Error> {
        Err(self.trace.refuse(SELF_DESCRIBING))
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_unit_struct(name, visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_option(Look { visitor, trace: self.trace, names: &[], name: "" })
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let look = Look { visitor, trace: self.trace, names: &[], name };
        self.inner.deserialize_newtype_struct(name, look)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_seq(Look { visitor, trace: self.trace, names: &[], name: LIST })
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_tuple(len, Look { visitor, trace: self.trace, names: &[], name: "a tuple" })
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let look = Look { visitor, trace: self.trace, names: &[], name };
        self.inner.deserialize_tuple_struct(name, len, look)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_map(Look { visitor, trace: self.trace, names: &[], name: MAP })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let look = Look { visitor, trace: self.trace, names: fields, name };
        self.inner.deserialize_struct(name, fields, look)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let look = Look { visitor, trace: self.trace, names: variants, name };
        self.inner.deserialize_enum(name, variants, look)
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

/// The name of a list of any length.
const LIST: &str = "a sequence";

/// A visitor that records what it visits, and forwards to the value's own visitor.
struct Look<'t, V> {
    visitor: V,
    trace: &'t Trace,
    /// The names of the fields or variants.
    names: &'static [&'static str],
    /// The name of the compound.
    name: &'static str,
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Look<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.visitor.expecting(f)
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<V::Value, E> {
        self.trace.choose(2, 0);
        self.visitor.visit_none()
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.trace.choose(2, 1);
        let trace = self.trace;
        trace.within(1, None, || self.visitor.visit_some(Traced { inner, trace }))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        let trace = self.trace;
        trace.within(1, None, || self.visitor.visit_newtype_struct(Traced { inner, trace }))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        let Look { visitor, trace, names, name } = self;
        let at = trace.begin(name, inner.size_hint());
        visitor.visit_seq(Parts { inner, trace, names, at, read: 0, is_list: name == LIST })
    }

    fn visit_map<A: MapAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        let trace = self.trace;
        trace.begin(self.name, inner.size_hint());
        self.visitor.visit_map(Traced { inner, trace })
    }

    fn visit_enum<A: EnumAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        let Look { visitor, trace, names, .. } = self;
        let path = trace.path.get();
        let result = visitor.visit_enum(Choice { inner, trace, names });
        trace.path.set(path);
        result
    }
}

/// The elements or fields of a compound.
struct Parts<'t, A> {
    inner: A,
    trace: &'t Trace,
    names: &'static [&'static str],
    at: usize,
    read: usize,
    is_list: bool,
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Parts<'_, A> {
    type Error = A::Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, A::Error> {
        let (trace, number) = (self.trace, self.read);
        let way = if self.is_list { 1 } else { number as u64 + 1 };
        let name = self.names.get(number).copied();
        let inner = &mut self.inner;
        let part = trace.within(way, name, || inner.next_element_seed(Traced { inner: seed, trace }))?;
        if part.is_some() {
            self.read += 1;
            trace.count(self.at, self.read);
        }
        Ok(part)
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, T: DeserializeSeed<'de>> DeserializeSeed<'de> for Traced<'_, T> {
    type Value = T::Value;

    fn deserialize<D: Deserializer<'de>>(self, inner: D) -> Result<T::Value, D::Error> {
        self.inner.deserialize(Traced { inner, trace: self.trace })
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Traced<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        let (inner, trace) = (&mut self.inner, self.trace);
        trace.within(1, None, || inner.next_key_seed(Traced { inner: seed, trace }))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, A::Error> {
        let (inner, trace) = (&mut self.inner, self.trace);
        trace.within(2, None, || inner.next_value_seed(Traced { inner: seed, trace }))
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

/// The variant of an enum.
struct Choice<'t, A> {
    inner: A,
    trace: &'t Trace,
    names: &'static [&'static str],
}

impl<'t, 'de, A: EnumAccess<'de>> EnumAccess<'de> for Choice<'t, A> {
    type Error = A::Error;
    type Variant = Choice<'t, A::Variant>;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self::Variant), A::Error> {
        let Choice { inner, trace, names } = self;
        let index = Cell::new(None);
        let (value, inner) = inner.variant_seed(Index { inner: seed, index: &index })?;
        let Some(way) = index.get() else {
            return Err(trace.refuse("decodes the variants of an enum by name"));
        };
        // The branches of an enum with too many variants are never all seen.
        trace.choose(if names.len() > 128 { usize::MAX } else { names.len() }, way);
        let name = names.get(way as usize..).unwrap_or_default();
        Ok((value, Choice { inner, trace, names: name.get(..1).unwrap_or_default() }))
    }
}

impl<A> Choice<'_, A> {
    /// The variant's name.
    fn name(&self) -> &'static str {
        self.names.first().copied().unwrap_or("a variant")
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Choice<'_, A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, A::Error> {
        let name = Some(self.name());
        let Choice { inner, trace, .. } = self;
        trace.within(1, name, || inner.newtype_variant_seed(Traced { inner: seed, trace }))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        let name = self.name();
        self.inner.tuple_variant(len, Look { visitor, trace: self.trace, names: &[], name })
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        let name = self.name();
        self.inner.struct_variant(fields, Look { visitor, trace: self.trace, names: fields, name })
    }
}

/// Records the index of the variant, which the decoder of its enum visits as an integer.
struct Index<'i, I> {
    inner: I,
    index: &'i Cell<Option<u32>>,
}

impl<'de, T: DeserializeSeed<'de>> DeserializeSeed<'de> for Index<'_, T> {
    type Value = T::Value;

    fn deserialize<D: Deserializer<'de>>(self, inner: D) -> Result<T::Value, D::Error> {
        self.inner.deserialize(Index { inner, index: self.index })
    }
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Index<'_, D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_u32(Index { inner: visitor, index: self.index })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Index<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    fn visit_u32<E: serde::de::Error>(self, index: u32) -> Result<V::Value, E> {
        self.index.set(Some(index));
        self.inner.visit_u32(index)
    }
}
