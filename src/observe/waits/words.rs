//! Processes in the words of a wait: by their PIDs until the words are shown, because a child that has just been forked
//! has its parent's name until it becomes another program.

use crate::sys::pid::Pid;
use crate::sys::procfs::text::printable;

/// No text that is shown has these characters, so what stands between them is a PID.
const BEGIN: char = '\u{1}';
const END: char = '\u{2}';

/// Stands for a process in words.
pub fn process(pid: Pid) -> String {
    format!("{BEGIN}{pid}{END}")
}

/// The processes that are named in words, each once.
pub fn processes(words: &str) -> Vec<Pid> {
    let mut pids: Vec<Pid> = pieces(words).filter_map(|(pid, _)| pid).collect();
    pids.sort_unstable();
    pids.dedup();
    pids
}

/// The words as they are shown: `child 4243 sleep`, or the PID alone for a process without a name. Programs choose paths
/// and names of sockets, so the rest is made safe for a terminal.
pub fn shown(words: &str, name: impl Fn(Pid) -> Option<String>) -> String {
    let piece = |(pid, text): (Option<Pid>, &str)| {
        let label = pid.map(|pid| match name(pid).filter(|name| !name.is_empty()) {
            Some(name) => format!("{pid} {}", printable(name.as_bytes())),
            None => pid.to_string(),
        });
        label.unwrap_or_default() + &printable(text.as_bytes())
    };
    pieces(words).map(piece).collect()
}

/// Processes, each with the text behind it; the first piece is the text in front of them all.
fn pieces(words: &str) -> impl Iterator<Item = (Option<Pid>, &str)> {
    let behind = words.split(BEGIN).skip(1).map(|piece| {
        let process = piece.split_once(END).and_then(|(pid, text)| Some((pid.parse::<Pid>().ok()?, text)));
        process.map_or((None, piece), |(pid, text)| (Some(pid), text))
    });
    std::iter::once((None, words.split(BEGIN).next().unwrap_or_default())).chain(behind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_shown_with_the_name_that_it_has_by_then() {
        let pid = Pid::from_raw;
        let words = format!("any of {}, {} or \x1b[2J", process(pid(42)), process(pid(7)));
        assert_eq!(processes(&words), [pid(7), pid(42)]);
        let name = |of| (of == pid(42)).then(|| "sl\x1beep".to_owned());
        assert_eq!(shown(&words, name), "any of 42 sl?eep, 7 or ?[2J");
        // A path that imitates a process is a path.
        assert_eq!(shown("file \u{1}x\u{2}", |_| None), "file x?");
        assert_eq!(shown("", |_| None), "");
    }
}
