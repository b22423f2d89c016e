//! A limit on the rate at which keys can be tried.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many attempts from an address since its last success are judged without delay.
const FREE_ATTEMPTS: u32 = 5;
/// The time between two further attempts.
const PACE: Duration = Duration::from_secs(1);
/// The maximum delay of an attempt; one that would be delayed longer is refused.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// The attempts from an address are forgotten after this long without a new one.
const FORGIVEN: Duration = Duration::from_secs(60);
/// The maximum number of addresses whose attempts are counted.
const ADDRESSES: usize = 4096;

/// Limits the rate at which keys can be tried. Each answer to a challenge is an attempt. It is counted before it is
/// judged, so simultaneous connections are judged no faster than consecutive ones.
#[derive(Debug, Default)]
pub(super) struct Attempts(Mutex<HashMap<IpAddr, Record>>);

#[derive(Debug)]
struct Record {
    /// Attempts since the last success, including those that are still delayed.
    attempts: u32,
    /// When the next attempt may be judged.
    next: Instant,
}

impl Attempts {
    /// Counts an attempt from `address`. Returns the delay after which to judge it; `None` if that is too long, in which
    /// case it must not be judged at all.
    pub(super) fn count(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let address = network(address);
        let mut records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if records.len() >= ADDRESSES
            && !records.contains_key(&address)
            && let Some(oldest) = records.iter().min_by_key(|(_, r)| r.next).map(|(a, _)| *a)
        {
            records.remove(&oldest);
        }
        let record = records.entry(address).or_insert(Record { attempts: 0, next: now });
        if now.saturating_duration_since(record.next) > FORGIVEN {
            *record = Record { attempts: 0, next: now };
        }
        if record.attempts < FREE_ATTEMPTS {
            record.attempts += 1;
            record.next = record.next.max(now);
            return Some(Duration::ZERO);
        }
        let wait = record.next.saturating_duration_since(now);
        if wait > LONGEST_WAIT {
            return None;
        }
        record.next = now.max(record.next) + PACE;
        Some(wait)
    }

    pub(super) fn succeeded(&self, address: IpAddr) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&network(address));
    }
}

/// The part of an address that a client cannot choose: an IPv6 host chooses the lower 64 bits itself.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() >> 64 << 64).into()),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_counted_before_they_are_judged() {
        let attempts = Attempts::default();
        let (address, now) = (IpAddr::from([127, 0, 0, 1]), Instant::now());
        let waits: Vec<_> = (0..1000).map_while(|_| attempts.count(address, now)).collect();
        let expected = [0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5].map(Duration::from_secs);
        assert_eq!(waits, expected, "five at once, then one a second, and none that waits longer");
        assert_eq!(attempts.count(IpAddr::from([127, 0, 0, 2]), now), Some(Duration::ZERO));
        attempts.succeeded(address);
        assert_eq!(attempts.count(address, now), Some(Duration::ZERO));
        assert_eq!(attempts.count(address, now + 2 * FORGIVEN), Some(Duration::ZERO));
    }

    #[test]
    fn the_addresses_of_one_host_count_together() {
        let parse = |text: &str| network(text.parse().unwrap());
        assert_eq!(parse("2001:db8::1"), parse("2001:db8::ffff:1"));
        assert_ne!(parse("2001:db8::1"), parse("2001:db8:0:1::1"));
        assert_eq!(parse("::ffff:127.0.0.1"), parse("127.0.0.1"));
        assert_ne!(parse("127.0.0.1"), parse("127.0.0.2"));
    }
}
