//! A schedule of a command as a word: `p~HASH~r,r.1x3,…` is the root once, then its first child three times; `!` kills. The
//! hash covers the command and the options on which its steps depend. The facts on which they depend follow at the end:
//! `~FACT+FACT`.

use std::collections::BTreeSet;

use super::limits::Command;

/// The maximum number of steps of a token.
const MOST: usize = 100_000;

/// Text that is not a token of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// It is malformed, or has too many steps.
    #[error("it is not a token of a command")]
    Malformed,
    /// It was made for another command, or with other options.
    #[error("the token belongs to another command, or to other options of it")]
    OtherCommand,
}

/// Whether `text` has the form of a token of a command.
pub fn is_token(text: &str) -> bool {
    text.starts_with("p~")
}

/// The token of a schedule, with the facts on which it depends.
pub fn encode(
    command: &Command,
    schedule: impl IntoIterator<Item = impl AsRef<str>>,
    facts: &BTreeSet<String>,
) -> String {
    let schedule: Vec<_> = schedule.into_iter().collect();
    let schedule: Vec<&str> = schedule.iter().map(AsRef::as_ref).collect();
    let runs = schedule.chunk_by(|one, other| one == other).map(|run| {
        let name = run[0].replacen("root", "r", 1);
        if run.len() == 1 { name } else { format!("{name}x{}", run.len()) }
    });
    let token = format!("p~{}~{}", signature(command), runs.collect::<Vec<_>>().join(","));
    if facts.is_empty() {
        return token;
    }
    let facts: Vec<_> = facts.iter().map(|fact| escaped(fact)).collect();
    format!("{token}~{}", facts.join("+"))
}

/// The schedule and the facts of a token for `command`.
///
/// # Errors
/// [`TokenError`].
pub fn decode(token: &str, command: &Command) -> Result<(Vec<String>, BTreeSet<String>), TokenError> {
    let rest = token.strip_prefix("p~").ok_or(TokenError::Malformed)?;
    let (hash, rest) = rest.split_once('~').ok_or(TokenError::Malformed)?;
    if hash != signature(command) {
        return Err(TokenError::OtherCommand);
    }
    let (rest, facts) = rest.split_once('~').unwrap_or((rest, ""));
    let mut schedule = Vec::new();
    for run in rest.split(',').filter(|run| !run.is_empty()) {
        let (name, count) = match run.split_once('x') {
            Some((name, count)) => (name, count.parse().map_err(|_| TokenError::Malformed)?),
            None => (run, 1),
        };
        let name = format!("root{}", name.strip_prefix('r').ok_or(TokenError::Malformed)?);
        if schedule.len().saturating_add(count) > MOST {
            return Err(TokenError::Malformed);
        }
        schedule.extend(std::iter::repeat_n(name, count));
    }
    let facts = facts.split('+').filter(|fact| !fact.is_empty()).map(plain).collect::<Option<_>>();
    Ok((schedule, facts.ok_or(TokenError::Malformed)?))
}

/// Replaces a space by `_`, and every byte other than letters, digits, `.`, `-` and `/` by `%` and two digits.
fn escaped(fact: &str) -> String {
    let byte = |byte: u8| match byte {
        b' ' => "_".to_owned(),
        b'.' | b'-' | b'/' => char::from(byte).to_string(),
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02x}"),
    };
    fact.bytes().map(byte).collect()
}

fn plain(escaped: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = escaped.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'_' => b' ',
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                (digit()? * 16 + digit()?) as u8
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

/// A hash of the command and its options (FNV-1a; it protects against mistakes only).
fn signature(command: &Command) -> String {
    let text = command.argv.join("\0");
    let bytes = text.bytes().chain([u8::from(command.timeouts) + 2 * u8::from(command.strict)]);
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{:08x}", hash >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(argv: &[&str]) -> Command {
        Command::new(argv.iter().copied())
    }

    #[test]
    fn a_token_holds_the_schedule_of_its_command_only() {
        let make = command(&["make", "-j2"]);
        let schedule = ["root", "root.1", "root.1", "root.1.t2", "root@SIGCHLD"];
        let token = encode(&make, schedule, &BTreeSet::new());
        assert!(token.ends_with("~r,r.1x2,r.1.t2,r@SIGCHLD"), "{token}");
        assert_eq!(decode(&token, &make).unwrap(), (schedule.map(str::to_owned).to_vec(), BTreeSet::new()));
        assert_eq!(decode(&token, &command(&["make", "-j3"])), Err(TokenError::OtherCommand));
        for damaged in ["t~x", "p~", "p~1234", &format!("{token}x"), &format!("{token},r.1x999999999999")] {
            assert!(decode(damaged, &make).is_err(), "{damaged}");
        }
    }

    #[test]
    fn a_token_holds_what_decides_the_steps() {
        let make = command(&["make"]);
        let facts = BTreeSet::from(["root.1 receives signals".to_owned(), "lock a_b+~é".to_owned()]);
        let token = encode(&make, ["root"], &facts);
        assert!(token.ends_with("+root.1_receives_signals"), "{token}");
        assert_eq!(decode(&token, &make).unwrap(), (vec!["root".to_owned()], facts));
        assert_eq!(decode(&format!("{token}%z"), &make), Err(TokenError::Malformed));
    }
}
