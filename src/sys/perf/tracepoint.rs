//! Tracepoints: their IDs, and the offsets of their fields in the raw bytes, from tracefs.

use std::path::{Path, PathBuf};

/// A tracepoint's ID and fields, read from `events/SYSTEM/NAME/{id,format}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tracepoint {
    /// The ID for [`Source::Tracepoint`](super::event::Source).
    pub id: u64,
    fields: Vec<(String, usize, usize)>,
}

impl Tracepoint {
    /// Looks up a tracepoint, for example `sched/sched_switch`; `None` if tracefs is not mounted or not readable.
    pub fn find(name: &str) -> Option<Self> {
        let events: PathBuf = tracefs()?.join("events").join(name);
        let id = std::fs::read_to_string(events.join("id")).ok()?.trim().parse().ok()?;
        let format = std::fs::read_to_string(events.join("format")).ok()?;
        Some(Self { id, fields: parse_format(&format) })
    }

    /// A signed integer field of `raw`, of the width in its format.
    pub fn number(&self, raw: &[u8], field: &str) -> Option<i64> {
        let (_, offset, size) = self.fields.iter().find(|(name, ..)| name == field)?;
        let bytes = raw.get(*offset..offset.checked_add(*size)?)?;
        Some(match *size {
            1 => i64::from(i8::from_ne_bytes(bytes.try_into().ok()?)),
            2 => i64::from(i16::from_ne_bytes(bytes.try_into().ok()?)),
            4 => i64::from(i32::from_ne_bytes(bytes.try_into().ok()?)),
            8 => i64::from_ne_bytes(bytes.try_into().ok()?),
            _ => return None,
        })
    }

    /// Whether the record was written in an interrupt, which has nothing to do with the thread that was running.
    pub fn in_interrupt(&self, raw: &[u8]) -> bool {
        // `TRACE_FLAG_HARDIRQ`, `TRACE_FLAG_SOFTIRQ` and `TRACE_FLAG_NMI` of `linux/trace_events.h`.
        const INTERRUPT: i64 = 0x08 | 0x10 | 0x40;
        self.number(raw, "common_flags").is_some_and(|flags| flags & INTERRUPT != 0)
    }

    /// Whether `raw` is a record of this tracepoint: its ID is the first field of every record (`common_type`).
    pub fn is(&self, raw: &[u8]) -> bool {
        raw.get(..2).is_some_and(|id| u64::from(u16::from_ne_bytes([id[0], id[1]])) == self.id)
    }
}

fn tracefs() -> Option<&'static Path> {
    ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"]
        .into_iter()
        .map(Path::new)
        .find(|root| root.join("events/sched").is_dir())
}

/// Parses lines such as `field:pid_t prev_pid; offset:24; size:4; signed:1;`, separated by tabs.
fn parse_format(text: &str) -> Vec<(String, usize, usize)> {
    text.lines()
        .filter_map(|line| {
            let mut parts = line.trim().split(';').map(str::trim);
            let name = parts.next()?.strip_prefix("field:")?.rsplit([' ', '*']).next()?;
            let offset = parts.next()?.strip_prefix("offset:")?.parse().ok()?;
            let size = parts.next()?.strip_prefix("size:")?.parse().ok()?;
            Some((name.split('[').next()?.to_owned(), offset, size))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMAT: &str = "name: sched_waking\nID: 312\nformat:\n\
        \tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\
        \tfield:char comm[16];\toffset:8;\tsize:16;\tsigned:0;\n\
        \tfield:pid_t pid;\toffset:24;\tsize:4;\tsigned:1;\n";

    #[test]
    fn a_field_is_read_at_the_offset_in_the_format() {
        let waking = Tracepoint { id: 312, fields: parse_format(FORMAT) };
        let mut raw = vec![0; 28];
        raw[..2].copy_from_slice(&312u16.to_ne_bytes());
        raw[24..].copy_from_slice(&4242i32.to_ne_bytes());
        assert!(waking.is(&raw));
        assert_eq!(waking.number(&raw, "pid"), Some(4242));
        assert_eq!(waking.number(&raw[..20], "pid"), None);
        assert_eq!(waking.number(&raw, "nothing"), None);
    }
}
