//! The part of the protocol buffers encoding that a trace needs: integers, strings, messages.

/// A message under construction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Message(Vec<u8>);

impl Message {
    /// Adds an integer.
    pub(super) fn number(&mut self, field: u32, value: u64) {
        self.varint(u64::from(field) << 3);
        self.varint(value);
    }

    /// Adds a string.
    pub(super) fn text(&mut self, field: u32, text: &str) {
        self.bytes(field, text.as_bytes());
    }

    /// Adds a message.
    pub(super) fn message(&mut self, field: u32, message: &Message) {
        self.bytes(field, &message.0);
    }

    /// The bytes so far.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn bytes(&mut self, field: u32, bytes: &[u8]) {
        self.varint(u64::from(field) << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend(bytes);
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

/// A field that was read.
#[cfg(test)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message; `None` if it is none.
#[cfg(test)]
pub(super) fn fields(mut bytes: &[u8]) -> Option<Vec<(u32, Field<'_>)>> {
    fn varint(bytes: &mut &[u8]) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (first, rest) = bytes.split_first()?;
            *bytes = rest;
            value |= u64::from(first & 0x7f) << shift;
            if first & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let value = varint(&mut bytes)?;
        let field = match key & 7 {
            0 => Field::Number(value),
            2 => {
                let (one, rest) = bytes.split_at_checked(usize::try_from(value).ok()?)?;
                bytes = rest;
                Field::Bytes(one)
            }
            _ => return None,
        };
        all.push((u32::try_from(key >> 3).ok()?, field));
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_texts_are_encoded_as_the_specification_shows() {
        let mut message = Message::default();
        message.number(1, 150);
        message.text(2, "testing");
        let expected = [0x08, 0x96, 0x01, 0x12, 0x07, 0x74, 0x65, 0x73, 0x74, 0x69, 0x6e, 0x67];
        assert_eq!(message.clone().into_bytes(), expected);
        let bytes = message.into_bytes();
        assert_eq!(fields(&bytes).unwrap(), [(1, Field::Number(150)), (2, Field::Bytes(b"testing"))]);
    }
}
