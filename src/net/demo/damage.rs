//! What is done to what passes between two ends: a bit is flipped, or the connection cut, to show that a demo notices.

use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// What is done to each connection, or to each datagram, that is long enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Damage {
    /// The direction.
    pub direction: Direction,
    /// The number of bytes before it.
    pub byte: u64,
    /// What is done there.
    pub harm: Harm,
}

/// A kind of damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Harm {
    /// The lowest bit of that byte is flipped.
    Flip,
    /// The connection ends before that byte, in both directions; a datagram that contains it is lost.
    Cut,
}

/// A direction of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Direction {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
}

/// The text does not name a place on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it must be up:BYTE or down:BYTE, such as up:0")]
pub struct DamageError;

impl FromStr for Damage {
    type Err = DamageError;

    fn from_str(text: &str) -> Result<Self, DamageError> {
        let (direction, byte) = text.split_once(':').ok_or(DamageError)?;
        let direction = match direction {
            "up" => Direction::Up,
            "down" => Direction::Down,
            _ => return Err(DamageError),
        };
        Ok(Self { direction, byte: byte.parse().map_err(|_| DamageError)?, harm: Harm::Flip })
    }
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let direction = if self.direction == Direction::Up { "up" } else { "down" };
        write!(f, "{direction}:{}", self.byte)
    }
}

impl Damage {
    /// The connection is cut at this place.
    #[must_use]
    pub fn cut(self) -> Self {
        Self { harm: Harm::Cut, ..self }
    }

    /// What becomes of `length` bytes that follow the first `passed` bytes of the stream in `direction`.
    pub(super) fn fate(self, direction: Direction, passed: u64, length: usize) -> Fate {
        let at = self.byte.checked_sub(passed).and_then(|at| usize::try_from(at).ok());
        match (at.filter(|at| *at < length && direction == self.direction), self.harm) {
            (Some(at), Harm::Flip) => Fate::Flip(at),
            (Some(at), Harm::Cut) => Fate::Cut(at),
            (None, _) => Fate::Pass,
        }
    }
}

/// What becomes of a piece of what is on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// It passes.
    Pass,
    /// The lowest bit of this byte of it, counted from 0, is flipped.
    Flip(usize),
    /// The connection ends before this byte of it, in both directions; a datagram is lost.
    Cut(usize),
}

impl Fate {
    /// Does it to `bytes`. Returns how many of them still pass; the connection ends after these if that is not all.
    pub(super) fn apply(self, bytes: &mut [u8]) -> usize {
        match self {
            Fate::Flip(at) => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1),
            Fate::Cut(at) => return at.min(bytes.len().saturating_sub(1)),
            Fate::Pass => {}
        }
        bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bit_in_one_direction_is_damaged_however_the_stream_is_cut() {
        let damage: Damage = "up:2".parse().unwrap();
        for cuts in [&[5][..], &[2, 3], &[1, 1, 1, 2], &[3, 2]] {
            let mut bytes = *b"aaaaa";
            let mut passed = 0;
            for cut in cuts {
                damage.fate(Direction::Down, passed as u64, *cut).apply(&mut bytes[passed..passed + cut]);
                damage.fate(Direction::Up, passed as u64, *cut).apply(&mut bytes[passed..passed + cut]);
                passed += cut;
            }
            assert_eq!(&bytes, b"aa`aa", "{cuts:?}");
        }
    }

    #[test]
    fn what_follows_a_cut_does_not_pass_however_the_stream_is_cut() {
        let cut = "down:3".parse::<Damage>().unwrap().cut();
        for cuts in [&[5][..], &[2, 3], &[3, 2], &[1, 1, 1, 2]] {
            let (mut passed, mut left) = (0, 0);
            for piece in cuts {
                let mut bytes = vec![0; *piece];
                assert_eq!(cut.fate(Direction::Up, passed, *piece).apply(&mut bytes), *piece);
                let some = cut.fate(Direction::Down, passed, *piece).apply(&mut bytes);
                (passed, left) = (passed + *piece as u64, left + some);
                if some < *piece {
                    break;
                }
            }
            assert_eq!(left, 3, "{cuts:?}");
        }
    }

    #[test]
    fn malformed_damage_is_refused() {
        for text in ["", "up", "up:", "up:-1", "left:1", "up:1:2", "down:x"] {
            assert_eq!(text.parse::<Damage>(), Err(DamageError), "{text:?}");
        }
        let damage = Damage { direction: Direction::Down, byte: 7, harm: Harm::Flip };
        assert_eq!(("down:7".parse(), damage.to_string()), (Ok(damage), "down:7".to_owned()));
    }
}
