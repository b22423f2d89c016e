//! The scheduling policies of the textbooks, by name.

use std::str::FromStr;

/// One millisecond.
const MS: u64 = 1_000_000;

/// A scheduling policy of the textbooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// First come, first served, to the end of the burst.
    Fifo,
    /// The shortest next burst first, to its end.
    Sjf,
    /// The shortest remaining burst first; a shorter one that comes takes the CPU.
    Stcf,
    /// Round robin with this time slice, nanoseconds.
    RoundRobin(u64),
    /// Three queues with feedback: a task that uses its slice up goes down a queue.
    Mlfq,
    /// Earliest eligible virtual deadline first, all tasks with the same weight.
    Eevdf,
}

impl FromStr for Policy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, slice) = text.split_once(':').unwrap_or((text, ""));
        Ok(match (name, slice) {
            ("fifo" | "fcfs", "") => Self::Fifo,
            ("sjf", "") => Self::Sjf,
            ("stcf" | "srtf", "") => Self::Stcf,
            ("mlfq", "") => Self::Mlfq,
            ("eevdf", "") => Self::Eevdf,
            ("rr", "") => Self::RoundRobin(10 * MS),
            ("rr", slice) => match slice.parse::<f64>() {
                Ok(ms) if (0.01..=10_000.0).contains(&ms) => Self::RoundRobin((ms * 1e6) as u64),
                _ => return Err(format!("`{slice}` is no time slice in milliseconds")),
            },
            _ => {
                return Err(format!(
                    "there is no policy `{text}`: fifo, sjf, stcf, rr:MILLISECONDS, mlfq, eevdf"
                ));
            }
        })
    }
}

impl std::fmt::Display for Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fifo => f.write_str("fifo"),
            Self::Sjf => f.write_str("sjf"),
            Self::Stcf => f.write_str("stcf"),
            Self::RoundRobin(ns) => write!(f, "rr:{}", *ns as f64 / 1e6),
            Self::Mlfq => f.write_str("mlfq"),
            Self::Eevdf => f.write_str("eevdf"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_that_there_is_not_is_an_error_that_names_those_there_are() {
        assert!("lottery".parse::<Policy>().unwrap_err().contains("mlfq"));
        assert!("rr:x".parse::<Policy>().is_err());
        assert_eq!("rr:2.5".parse(), Ok(Policy::RoundRobin(2_500_000)));
    }
}
