//! Steps in words: calls as strace writes them, with the names of objects.

use nix::libc;
use std::fmt::Write;

use super::calls::{self, Arg};
use super::objects::Opened;
use super::world::World;
use crate::sys::ptrace::arch::Registers;
use crate::sys::ptrace::memory;

/// How many bytes of a buffer are shown.
const SHOWN: usize = 32;

/// The call with its arguments, before it is executed: a path or a buffer may be gone afterwards.
pub(super) fn before(world: &mut World, index: usize) -> String {
    let Some(row) = world.task(index).row else { return String::new() };
    if calls::is_death(row) {
        let signal = world.task(index).status.map_or(0, |status| nix::libc::WTERMSIG(status));
        return format!("dies of {}", crate::sys::signal::signal_name(signal));
    }
    let call = world.call(index);
    if let [Arg::At, Arg::Path, ..] = row.args
        && row.name == "stat"
        && memory::string(world.tid(index), call.args[1], 1).is_ok_and(|path| path.is_empty())
    {
        // `AT_EMPTY_PATH`: the C library's `fstat`.
        return format!("fstat({})", descriptor(world, index, call.args[0] as i32));
    }
    if row.number == libc::SYS_mmap {
        let object = descriptor(world, index, call.args[4] as i32);
        return format!("mmap({object}, {}, {})", protection(call.args[2]), sharing(call.args[3]));
    }
    let mut parts = Vec::new();
    let mut at = 0;
    for arg in row.args {
        let value = call.args[at];
        at += 1;
        parts.push(match arg {
            Arg::At => continue,
            Arg::Fd => descriptor(world, index, value as i32),
            Arg::Path => {
                let path = memory::string(world.tid(index), value, 4096).unwrap_or_default();
                quoted(&local(world, &path))
            }
            Arg::Data(true) => {
                let length = (call.args[at] as usize).min(SHOWN);
                quoted(&memory::read(world.tid(index), value, length).unwrap_or_default())
            }
            // It is known only afterwards.
            Arg::Data(false) => "…".to_owned(),
            Arg::Int => (value as i32).to_string(),
            Arg::Request => request(value),
            // Like strace, the mode is shown only if a file may be created.
            Arg::Mode if opens(row.args, &call.args).is_some_and(|flags| !makes(flags)) => continue,
            Arg::Mode => format!("0{:o}", value as u32),
            Arg::Open => open_flags(value as i32),
            Arg::Flock => flock(value as i32),
            Arg::Word => {
                let plan = world.task(index).plan.as_ref();
                let object = plan.and_then(|plan| plan.touches.first()).map(|touch| touch.object.to_string());
                let object = object.unwrap_or_else(|| format!("{value:#x}"));
                object.strip_prefix("futex ").map_or(object.clone(), str::to_owned)
            }
            Arg::Futex => futex(value as i32),
            Arg::Pid => match value as i32 {
                -1 => "any child".to_owned(),
                pid => world
                    .by_tid
                    .get(&crate::sys::pid::Pid::from_raw(pid))
                    .map_or(pid.to_string(), |task| world.task(*task).name.clone()),
            },
            Arg::Signal => crate::sys::signal::signal_name(value as i32),
        });
    }
    format!("{}({})", row.name, parts.join(", "))
}

/// Appends the result of the call, and what it read.
pub(super) fn after(world: &mut World, index: usize, words: &mut String) {
    let Some(row) = world.task(index).row.filter(|row| row.name != "access") else { return };
    let Ok(registers) = Registers::of(world.tid(index)) else { return };
    let result = registers.result();
    let call = world.call(index);
    // The kernel's internal codes for an interrupted call: the program sees EINTR, or the call restarts.
    if (-516..=-512).contains(&result) {
        words.push_str(" = ? (a signal)");
        return;
    }
    if result < 0 {
        let name = nix::errno::Errno::from_raw(-result as i32);
        let _ = write!(words, " = {name:?}");
        return;
    }
    if let Some(at) = row.args.iter().position(|arg| matches!(arg, Arg::Data(false))) {
        let length = (result as usize).min(SHOWN);
        let bytes = memory::read(world.tid(index), call.args[at], length).unwrap_or_default();
        *words = words.replacen('…', &quoted(&bytes), 1);
    }
    let _ = match row.name {
        "open" | "openat" | "creat" | "close" | "flock" | "exit" | "stat" | "fstat" | "mmap" => Ok(()),
        "wait" | "waitid" => {
            let child = world.tasks.iter().find(|task| i64::from(task.tid.as_raw()) == result);
            child.map_or(Ok(()), |child| write!(words, " = {}", child.name))
        }
        _ => write!(words, " = {result}"),
    };
}

fn descriptor(world: &mut World, index: usize, fd: i32) -> String {
    match world.opened(index, fd) {
        Opened::File(name) => name,
        Opened::Directory(name) => name + "/",
        Opened::Pipe(name) | Opened::Socket(name) | Opened::Anonymous(name) => name,
        Opened::Stream(0) => "stdout".into(),
        Opened::Stream(_) => "stderr".into(),
        Opened::Elsewhere(path) => path.display().to_string(),
        Opened::Device(..) | Opened::Closed => fd.to_string(),
    }
}

/// The protection of a mapping.
fn protection(bits: u64) -> String {
    let names =
        [(libc::PROT_READ, "PROT_READ"), (libc::PROT_WRITE, "PROT_WRITE"), (libc::PROT_EXEC, "PROT_EXEC")];
    let set: Vec<&str> =
        names.into_iter().filter(|(bit, _)| bits as i32 & bit != 0).map(|(_, name)| name).collect();
    if set.is_empty() { "PROT_NONE".to_owned() } else { set.join("|") }
}

fn sharing(flags: u64) -> &'static str {
    if flags as i32 & libc::MAP_SHARED != 0 { "MAP_SHARED" } else { "MAP_PRIVATE" }
}

/// A path relative to the folder.
fn local(world: &World, path: &[u8]) -> Vec<u8> {
    let root = world.root.as_os_str().as_encoded_bytes();
    match path.strip_prefix(root) {
        Some([b'/', rest @ ..]) => rest.to_vec(),
        Some([]) => b".".to_vec(),
        _ => path.to_vec(),
    }
}

/// As a string literal, with control characters escaped.
fn quoted(bytes: &[u8]) -> String {
    format!("{:?}", String::from_utf8_lossy(bytes))
}

/// The flags among the arguments of a call that opens.
fn opens(args: &[Arg], values: &[u64]) -> Option<i32> {
    let at = args.iter().position(|arg| matches!(arg, Arg::Open))?;
    values.get(at).map(|flags| *flags as i32)
}

/// Whether a call with these flags may create a file.
fn makes(flags: i32) -> bool {
    // O_TMPFILE contains the bit of O_DIRECTORY.
    flags & libc::O_CREAT != 0 || flags & libc::O_TMPFILE == libc::O_TMPFILE
}

fn open_flags(flags: i32) -> String {
    let mut text = match flags & libc::O_ACCMODE {
        libc::O_RDONLY => "O_RDONLY",
        libc::O_WRONLY => "O_WRONLY",
        _ => "O_RDWR",
    }
    .to_owned();
    for (bit, name) in [
        (libc::O_CREAT, "O_CREAT"),
        (libc::O_EXCL, "O_EXCL"),
        (libc::O_TRUNC, "O_TRUNC"),
        (libc::O_APPEND, "O_APPEND"),
    ] {
        if flags & bit != 0 {
            let _ = write!(text, "|{name}");
        }
    }
    text
}

/// A request of `ioctl`, by its name where it is one that makes a step.
fn request(value: u64) -> String {
    match value & 0xffff_ffff {
        super::calls::FICLONE => "FICLONE".to_owned(),
        libc::FIONREAD => "FIONREAD".to_owned(),
        libc::FIONBIO => "FIONBIO".to_owned(),
        other => format!("{other:#x}"),
    }
}

/// The operation of `futex`, without its flags.
fn futex(operation: i32) -> String {
    match operation & !(libc::FUTEX_PRIVATE_FLAG | libc::FUTEX_CLOCK_REALTIME) {
        libc::FUTEX_WAIT => "FUTEX_WAIT".to_owned(),
        libc::FUTEX_WAIT_BITSET => "FUTEX_WAIT_BITSET".to_owned(),
        libc::FUTEX_WAKE => "FUTEX_WAKE".to_owned(),
        libc::FUTEX_WAKE_BITSET => "FUTEX_WAKE_BITSET".to_owned(),
        libc::FUTEX_WAKE_OP => "FUTEX_WAKE_OP".to_owned(),
        libc::FUTEX_REQUEUE => "FUTEX_REQUEUE".to_owned(),
        libc::FUTEX_CMP_REQUEUE => "FUTEX_CMP_REQUEUE".to_owned(),
        libc::FUTEX_LOCK_PI => "FUTEX_LOCK_PI".to_owned(),
        libc::FUTEX_UNLOCK_PI => "FUTEX_UNLOCK_PI".to_owned(),
        other => other.to_string(),
    }
}

fn flock(operation: i32) -> String {
    let kind = match operation & !libc::LOCK_NB {
        libc::LOCK_SH => "LOCK_SH",
        libc::LOCK_EX => "LOCK_EX",
        _ => "LOCK_UN",
    };
    format!("{kind}{}", if operation & libc::LOCK_NB != 0 { "|LOCK_NB" } else { "" })
}
