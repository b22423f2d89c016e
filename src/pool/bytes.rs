//! Encoded values, without an allocation for the small ones.

const INLINE: usize = 22;

/// Bytes that are kept for a while.
#[derive(Debug, Clone)]
pub(super) enum Bytes {
    Small(u8, [u8; INLINE]),
    Large(Vec<u8>),
}

impl Bytes {
    pub(super) const EMPTY: Bytes = Bytes::Small(0, [0; INLINE]);

    pub(super) fn copy_of(bytes: &[u8]) -> Bytes {
        if bytes.len() > INLINE {
            return Bytes::Large(bytes.to_vec());
        }
        let mut inline = [0; INLINE];
        inline[..bytes.len()].copy_from_slice(bytes);
        Bytes::Small(bytes.len() as u8, inline)
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        match self {
            Bytes::Small(len, bytes) => &bytes[..usize::from(*len)],
            Bytes::Large(bytes) => bytes,
        }
    }
}
