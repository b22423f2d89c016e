//! A schedule as a value: short enough to type, and checked when it is parsed.
//!
//! A token is `PARAMETERS~SCHEDULE~CHECK`: the scenario and its parameters in a short form, the decisions as runs
//! (`a2b3a`: A twice, B three times, A once; a capital letter kills), and six characters. Three of these detect a
//! mistyped token before anything runs; the other three detect whether the processes arrive at the same steps as when
//! the token was created.

use std::fmt;
use std::str::FromStr;

use super::step::{Choice, Event, letter, task_name};

/// The number of tasks that have their own letter in a schedule; further ones are `(26)`, `(27)`, ….
pub const MAX_PROCESSES: usize = 26;
/// The maximum number of characters between such parentheses.
const MAX_DIGITS: usize = 10;
/// The maximum number of decisions in a token or a file.
pub const MAX_STEPS: usize = 10_000;

/// A schedule, with the scenario and the parameters that it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Scenario and parameters: lower-case letters, digits and dots.
    pub parameters: String,
    /// The decisions.
    pub choices: Vec<Choice>,
    /// [`arrivals`] of the execution for which the token was created.
    pub arrivals: u16,
}

/// The text is not a token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseTokenError {
    /// It does not have the form of a token.
    #[error("`{0}` is not a token: a token looks like `t2k1.no.qr~ab2a~tfvvpt`")]
    Shape(String),
    /// Its checksum is wrong: it is mistyped, or was composed by hand.
    #[error("the token `{0}` does not match its checksum: it is mistyped")]
    Check(String),
    /// The schedule is longer than [`MAX_STEPS`].
    #[error("the schedule has more than {MAX_STEPS} steps")]
    TooLong,
}

impl Token {
    /// Creates the token of an execution of the scenario that `parameters` describes.
    pub fn new(parameters: &str, events: &[Event]) -> Self {
        let choices = events.iter().map(|event| event.choice).collect();
        Self { parameters: parameters.to_owned(), choices, arrivals: arrivals(events) }
    }

    /// The number of kills in the schedule.
    pub fn kills(&self) -> usize {
        self.choices.iter().filter(|choice| choice.kill).count()
    }

    fn check(&self) -> u16 {
        fold(fnv(self.body().bytes().chain(self.arrivals.to_le_bytes())))
    }

    fn body(&self) -> String {
        format!("{}~{}", self.parameters, runs(&self.choices))
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}~{}{}", self.body(), letters(self.check()), letters(self.arrivals))
    }
}

impl FromStr for Token {
    type Err = ParseTokenError;

    fn from_str(text: &str) -> Result<Self, ParseTokenError> {
        let shape = || ParseTokenError::Shape(text.chars().take(80).collect());
        let mut parts = text.split('~');
        let (Some(parameters), Some(schedule), Some(check), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(shape());
        };
        let simple = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.';
        if parameters.is_empty() || !parameters.chars().all(simple) || !check.is_ascii() || check.len() != 6 {
            return Err(shape());
        }
        let choices = parse_runs(schedule)?.ok_or_else(shape)?;
        let (Some(sum), Some(arrivals)) = (number(&check[..3]), number(&check[3..])) else {
            return Err(shape());
        };
        let token = Self { parameters: parameters.to_owned(), choices, arrivals };
        if token.check() != sum || runs(&token.choices) != schedule {
            return Err(ParseTokenError::Check(text.to_owned()));
        }
        Ok(token)
    }
}

/// A 15-bit hash of the steps of an execution.
pub fn arrivals(events: &[Event]) -> u16 {
    let text = events.iter().flat_map(|event| {
        let step = &event.step;
        let ended = if event.ended { ";" } else { "," };
        [task_name(event.choice.index()), step.name.to_string(), step.resource.to_string(), ended.into()]
    });
    fold(fnv(text.flat_map(String::into_bytes)))
}

/// The decisions as runs.
pub fn runs(choices: &[Choice]) -> String {
    let mut text = String::new();
    for run in choices.chunk_by(|one, other| one == other) {
        let (task, kill) = (run[0].index(), run[0].kill);
        if task < MAX_PROCESSES {
            text.push(if kill { letter(task) } else { letter(task).to_ascii_lowercase() });
        } else {
            text.push_str(&format!("({task}{})", if kill { "!" } else { "" }));
        }
        if run.len() > 1 {
            text.push_str(&run.len().to_string());
        }
    }
    text
}

/// Reads decisions as [`runs`] writes them; `None` if it is something else.
///
/// # Errors
/// [`ParseTokenError::TooLong`].
pub fn parse_runs(text: &str) -> Result<Option<Vec<Choice>>, ParseTokenError> {
    let mut choices = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(name) = rest.next() {
        let choice = match name {
            'a'..='z' => Choice::step(usize::from(name as u8 - b'a')),
            'A'..='Z' => Choice::kill(usize::from(name as u8 - b'A')),
            '(' => {
                let inside: String = rest.by_ref().take_while(|c| *c != ')').take(MAX_DIGITS).collect();
                let (number, kill) = inside.strip_suffix('!').map_or((&*inside, false), |task| (task, true));
                let Some(process) = number.parse().ok().filter(|task| *task >= MAX_PROCESSES as u32) else {
                    return Ok(None);
                };
                Choice { process, kill }
            }
            _ => return Ok(None),
        };
        let mut count: Option<usize> = None;
        while let Some(digit) = rest.peek().and_then(|c| c.to_digit(10)) {
            rest.next();
            count = Some(count.unwrap_or(0).saturating_mul(10).saturating_add(digit as usize));
        }
        let count = count.unwrap_or(1);
        if choices.len().saturating_add(count) > MAX_STEPS {
            return Err(ParseTokenError::TooLong);
        }
        choices.resize(choices.len() + count, choice);
    }
    Ok(Some(choices))
}

/// FNV-1a, 64 bits.
fn fnv(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn fold(hash: u64) -> u16 {
    ((hash ^ (hash >> 15) ^ (hash >> 30) ^ (hash >> 45)) & 0x7fff) as u16
}

/// Crockford's base 32, in which no two characters look alike.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

fn letters(bits: u16) -> String {
    [10, 5, 0].map(|shift| ALPHABET[usize::from(bits >> shift & 31)] as char).iter().collect()
}

fn number(text: &str) -> Option<u16> {
    text.bytes().try_fold(0, |bits, byte| {
        let digit = ALPHABET.iter().position(|letter| *letter == byte)?;
        Some(bits << 5 | digit as u16)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn token(choices: Vec<Choice>) -> Token {
        Token { parameters: "t2k1.none.r".into(), choices, arrivals: 0x1234 }
    }

    proptest! {
        #[test]
        fn a_printed_token_is_parsed_unchanged(
            choices in proptest::collection::vec((0_u32..40, any::<bool>()), 0..40),
            arrivals in 0_u16..0x8000,
        ) {
            let choices = choices.into_iter().map(|(process, kill)| Choice { process, kill }).collect();
            let token = Token { arrivals, ..token(choices) };
            prop_assert_eq!(token.to_string().parse::<Token>(), Ok(token));
        }

        #[test]
        fn parsing_never_panics(text in "\\PC{0,40}") {
            let _ = text.parse::<Token>();
        }
    }

    #[test]
    fn runs_are_short() {
        let choices = [0, 0, 1, 1, 1, 0].map(Choice::step);
        assert_eq!(runs(&choices), "a2b3a");
        assert_eq!(runs(&[Choice::step(0), Choice::kill(0), Choice::step(1)]), "aAb");
    }

    #[test]
    fn a_changed_character_is_detected() {
        let printed = token([0, 0, 1, 1].map(Choice::step).to_vec()).to_string();
        for position in 0..printed.len() {
            let mut bytes = printed.clone().into_bytes();
            bytes[position] = if bytes[position] == b'2' { b'3' } else { b'2' };
            let changed = String::from_utf8(bytes).unwrap();
            assert!(changed.parse::<Token>().is_err(), "{changed}");
        }
    }

    #[test]
    fn a_huge_run_allocates_no_memory() {
        assert_eq!("t~a99999999999999999999~000000".parse::<Token>(), Err(ParseTokenError::TooLong));
    }
}
