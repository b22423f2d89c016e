//! Names and what they stand for: open, rename, link, unlink, mkdir, stat and the like.
//!
//! A name in a folder is an object of its own (`name a/b`), so that calls on different names commute; the
//! list of names (`list a`) is another: names that are added or removed commute, and reading the list does not.

use nix::libc;
use std::os::unix::fs::MetadataExt;

use super::Arg::{At, Fd, Int, Mode, Open, Path};
use super::{Row, row, then};
use crate::explore::step::Access::{Add, Read, Write};
use crate::explore::traced::objects::{Opened, Resolved};
use crate::explore::traced::plan::Plan;
use crate::explore::traced::world::World;
use crate::sys::ptrace::{arch, memory};

/// The longest path (`PATH_MAX`).
const PATH_MAX: usize = 4096;

pub(super) const ROWS: &[Row] = &[
    then(row(arch::OPEN, "open", &[Path, Open, Mode], open), opened),
    then(row(arch::CREAT, "creat", &[Path, Mode], creat), opened),
    then(row(libc::SYS_openat, "openat", &[At, Path, Open, Mode], openat), opened),
    then(row(libc::SYS_openat2, "openat2", &[At, Path], openat2), opened),
    row(arch::STAT, "stat", &[Path], |w, t| look(w, t, None, 0, true)),
    row(arch::LSTAT, "lstat", &[Path], |w, t| look(w, t, None, 0, false)),
    row(arch::ACCESS, "access", &[Path, Int], |w, t| look(w, t, None, 0, true)),
    row(arch::READLINK, "readlink", &[Path], |w, t| look(w, t, None, 0, false)),
    row(libc::SYS_newfstatat, "stat", &[At, Path], |w, t| look_at(w, t, 3)),
    row(libc::SYS_statx, "statx", &[At, Path], |w, t| look_at(w, t, 2)),
    row(libc::SYS_faccessat, "access", &[At, Path, Int], |w, t| look(w, t, Some(0), 1, true)),
    row(libc::SYS_faccessat2, "access", &[At, Path, Int], |w, t| look_at(w, t, 3)),
    row(libc::SYS_readlinkat, "readlink", &[At, Path], |w, t| look(w, t, Some(0), 1, false)),
    row(libc::SYS_fstat, "fstat", &[Fd], stat_descriptor),
    row(libc::SYS_chdir, "chdir", &[Path], |w, t| look(w, t, None, 0, true)),
    row(libc::SYS_execve, "execve", &[Path], |w, t| look(w, t, None, 0, true)),
    row(libc::SYS_execveat, "execveat", &[At, Path], |w, t| look(w, t, Some(0), 1, true)),
    row(arch::RENAME, "rename", &[Path, Path], |w, t| change2(w, t, (None, 0), (None, 1))),
    row(libc::SYS_renameat, "rename", &[At, Path, At, Path], |w, t| {
        change2(w, t, (Some(0), 1), (Some(2), 3))
    }),
    row(libc::SYS_renameat2, "rename", &[At, Path, At, Path], |w, t| {
        change2(w, t, (Some(0), 1), (Some(2), 3))
    }),
    row(arch::LINK, "link", &[Path, Path], |w, t| change2(w, t, (None, 0), (None, 1))),
    row(libc::SYS_linkat, "link", &[At, Path, At, Path], |w, t| change2(w, t, (Some(0), 1), (Some(2), 3))),
    row(arch::SYMLINK, "symlink", &[Path, Path], |w, t| change(w, t, None, 1)),
    row(libc::SYS_symlinkat, "symlink", &[Path, At, Path], |w, t| change(w, t, Some(1), 2)),
    row(arch::UNLINK, "unlink", &[Path], |w, t| change(w, t, None, 0)),
    row(libc::SYS_unlinkat, "unlink", &[At, Path], |w, t| change(w, t, Some(0), 1)),
    row(arch::MKDIR, "mkdir", &[Path, Mode], |w, t| change(w, t, None, 0)),
    row(libc::SYS_mkdirat, "mkdir", &[At, Path, Mode], |w, t| change(w, t, Some(0), 1)),
    row(arch::RMDIR, "rmdir", &[Path], |w, t| change(w, t, None, 0)),
    row(arch::MKNOD, "mknod", &[Path, Mode], |w, t| change(w, t, None, 0)),
    row(libc::SYS_mknodat, "mknod", &[At, Path, Mode], |w, t| change(w, t, Some(0), 1)),
    row(arch::CHMOD, "chmod", &[Path, Mode], |w, t| touch(w, t, None, 0)),
    row(libc::SYS_fchmodat, "chmod", &[At, Path, Mode], |w, t| touch(w, t, Some(0), 1)),
    row(arch::CHOWN, "chown", &[Path], |w, t| touch(w, t, None, 0)),
    row(arch::LCHOWN, "lchown", &[Path], |w, t| touch(w, t, None, 0)),
    row(libc::SYS_fchownat, "chown", &[At, Path], |w, t| touch(w, t, Some(0), 1)),
    row(arch::UTIME, "utime", &[Path], |w, t| touch(w, t, None, 0)),
    row(arch::UTIMES, "utimes", &[Path], |w, t| touch(w, t, None, 0)),
    row(arch::FUTIMESAT, "utimes", &[At, Path], |w, t| touch(w, t, Some(0), 1)),
    row(libc::SYS_utimensat, "utimensat", &[At, Path], utimensat),
    row(libc::SYS_truncate, "truncate", &[Path, Int], |w, t| touch(w, t, None, 0)),
    row(arch::GETDENTS, "getdents", &[Fd], list),
    row(libc::SYS_getdents64, "getdents", &[Fd], list),
];

/// The path that an argument points to.
fn path_of(world: &World, task: usize, index: usize) -> Vec<u8> {
    memory::string(world.tid(task), world.call(task).args[index], PATH_MAX).unwrap_or_default()
}

fn resolve(world: &World, task: usize, at: Option<usize>, path: usize, follow: bool) -> Resolved {
    let at = at.map_or(libc::AT_FDCWD, |at| world.call(task).int(at));
    world.resolve(task, at, &path_of(world, task, path), follow)
}

/// The names that are followed on the way are read.
fn way(resolved: &Resolved) -> Plan {
    resolved.way.iter().fold(Plan::invisible(), |plan, name| plan.and(format!("name {name}"), Read))
}

/// With the principal object in front.
fn with_way(plan: Plan, resolved: &Resolved) -> Plan {
    way(resolved).touches.into_iter().fold(plan, |mut plan, touch| {
        plan.touches.push(touch);
        plan
    })
}

fn parent(name: &str) -> &str {
    name.rsplit_once('/').map_or(".", |(parent, _)| parent)
}

/// The object of the file that a path leads to.
fn file(world: &mut World, resolved: &Resolved) -> Option<String> {
    let (meta, inside) = (resolved.meta.as_ref()?, resolved.inside.as_ref()?);
    Some(world.objects.name((meta.dev(), meta.ino()), inside))
}

fn openat(world: &mut World, task: usize) -> Plan {
    let flags = world.call(task).int(2);
    open_with(world, task, Some(0), 1, flags)
}

fn open(world: &mut World, task: usize) -> Plan {
    let flags = world.call(task).int(1);
    open_with(world, task, None, 0, flags)
}

fn creat(world: &mut World, task: usize) -> Plan {
    open_with(world, task, None, 0, libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC)
}

fn openat2(world: &mut World, task: usize) -> Plan {
    let how = world.call(task).args[2];
    let flags = memory::array::<8>(world.tid(task), how).map_or(0, u64::from_ne_bytes);
    open_with(world, task, Some(0), 1, flags as i32)
}

fn open_with(world: &mut World, task: usize, at: Option<usize>, path: usize, flags: i32) -> Plan {
    let follow = flags & libc::O_NOFOLLOW == 0
        && flags & (libc::O_CREAT | libc::O_EXCL) != libc::O_CREAT | libc::O_EXCL;
    let resolved = resolve(world, task, at, path, follow);
    let writes = flags & libc::O_ACCMODE != libc::O_RDONLY || flags & (libc::O_CREAT | libc::O_TRUNC) != 0;
    let Some(name) = resolved.inside.clone() else {
        if writes && !harmless(&resolved.path) {
            return outside(world, "opened for writing", &resolved.path);
        } else if uncontrolled_source(&resolved.path) {
            world.note(format!("read: {}", resolved.path.display()));
        }
        return Plan::invisible();
    };
    if flags & libc::O_TMPFILE == libc::O_TMPFILE {
        return way(&resolved);
    }
    match &resolved.meta {
        None if flags & libc::O_CREAT != 0 => {
            let plan = Plan::of(format!("name {name}"), Write).and(format!("list {}", parent(&name)), Add);
            with_way(plan, &resolved)
        }
        Some(meta) if meta.is_file() && flags & libc::O_TRUNC != 0 && flags & libc::O_EXCL == 0 => {
            let object = file(world, &resolved).unwrap_or_default();
            with_way(Plan::of(format!("file {object}"), Write).and(format!("name {name}"), Read), &resolved)
        }
        Some(meta) if meta.mode() & libc::S_IFMT == libc::S_IFIFO => {
            super::pipes::open_fifo(world, task, &name, (meta.dev(), meta.ino()), flags)
        }
        _ => with_way(Plan::of(format!("name {name}"), Read), &resolved),
    }
}

/// A change outside of the folder is named, or refused as on a file system that is read only.
fn outside(world: &mut World, how: &str, path: &std::path::Path) -> Plan {
    if world.strict {
        return Plan::answered(-i64::from(libc::EROFS));
    }
    world.note(format!("{how} outside of the folder: {}", path.display()));
    Plan::invisible()
}

/// A new description belongs to this process alone, until it forks.
fn opened(world: &mut World, task: usize, result: i64) {
    if let Ok(fd) = i32::try_from(result)
        && fd >= 0
    {
        world.process_mut(task).own.insert(fd);
        // Its name is where it was made.
        let _ = world.opened(task, fd);
    }
}

/// Devices whose content is nothing.
fn harmless(path: &std::path::Path) -> bool {
    ["/dev/null", "/dev/zero", "/dev/full", "/dev/tty"]
        .iter()
        .any(|device| path == std::path::Path::new(device))
}

/// What tells of the machine, and of moments.
fn uncontrolled_source(path: &std::path::Path) -> bool {
    let of_itself = [
        "/proc/self",
        "/proc/thread-self",
        "/proc/filesystems",
        "/proc/sys",
        "/proc/cpuinfo",
        "/proc/meminfo",
        "/proc/mounts",
    ];
    path.starts_with("/proc") && !of_itself.iter().any(|prefix| path.starts_with(prefix))
}

fn look_at(world: &mut World, task: usize, flags: usize) -> Plan {
    let bits = world.call(task).int(flags);
    let address = world.call(task).args[1];
    let is_empty = address == 0 || bits & libc::AT_EMPTY_PATH != 0 && path_of(world, task, 1).is_empty();
    if is_empty {
        return stat_descriptor(world, task);
    }
    look(world, task, Some(0), 1, bits & libc::AT_SYMLINK_NOFOLLOW == 0)
}

/// Looks at a name, and at the state of what is there: its size, for one.
fn look(world: &mut World, task: usize, at: Option<usize>, path: usize, follow: bool) -> Plan {
    let resolved = resolve(world, task, at, path, follow);
    let Some(name) = resolved.inside.clone() else { return Plan::invisible() };
    if name == "." {
        return way(&resolved);
    }
    let plan = Plan::of(format!("name {name}"), Read);
    let is_stat =
        matches!(super::find(world.call(task).number).map(|row| row.name), Some("stat" | "statx" | "lstat"));
    let plan = match (&resolved.meta, file(world, &resolved)) {
        (Some(meta), Some(object)) if meta.is_file() && is_stat => plan.and(format!("file {object}"), Read),
        (Some(meta), Some(_)) if meta.is_dir() && is_stat => plan.and(format!("list {name}"), Read),
        _ => plan,
    };
    with_way(plan, &resolved)
}

fn stat_descriptor(world: &mut World, task: usize) -> Plan {
    let fd = world.call(task).int(0);
    match world.opened(task, fd) {
        Opened::File(object) => Plan::of(format!("file {object}"), Read),
        Opened::Directory(name) if name != "." => Plan::of(format!("list {name}"), Read),
        _ => Plan::invisible(),
    }
}

/// Makes or removes a name.
fn change(world: &mut World, task: usize, at: Option<usize>, path: usize) -> Plan {
    let resolved = resolve(world, task, at, path, false);
    changed(world, &resolved)
}

fn change2(world: &mut World, task: usize, from: (Option<usize>, usize), to: (Option<usize>, usize)) -> Plan {
    let (from, to) = (resolve(world, task, from.0, from.1, false), resolve(world, task, to.0, to.1, false));
    let (plan, more) = (changed(world, &to), changed(world, &from));
    more.touches.into_iter().fold(plan, |mut plan, touch| {
        if !plan.touches.contains(&touch) {
            plan.touches.push(touch);
        }
        plan
    })
}

fn changed(world: &mut World, resolved: &Resolved) -> Plan {
    let Some(name) = &resolved.inside else {
        return outside(world, "changed", &resolved.path);
    };
    // The file gets its name from where it is now, before it is moved; a folder's list decides rmdir.
    let _ = file(world, resolved);
    let mut plan = Plan::of(format!("name {name}"), Write).and(format!("list {}", parent(name)), Add);
    if resolved.meta.as_ref().is_some_and(std::fs::Metadata::is_dir) {
        plan = plan.and(format!("list {name}"), Read);
    }
    with_way(plan, resolved)
}

/// Changes what is at a name, not the name.
fn touch(world: &mut World, task: usize, at: Option<usize>, path: usize) -> Plan {
    let resolved = resolve(world, task, at, path, true);
    let Some(name) = resolved.inside.clone() else {
        return outside(world, "changed", &resolved.path);
    };
    let plan = match file(world, &resolved) {
        Some(object) => Plan::of(format!("file {object}"), Write).and(format!("name {name}"), Read),
        None => Plan::of(format!("name {name}"), Read),
    };
    with_way(plan, &resolved)
}

fn utimensat(world: &mut World, task: usize) -> Plan {
    if world.call(task).args[1] != 0 {
        return touch(world, task, Some(0), 1);
    }
    let fd = world.call(task).int(0);
    match world.opened(task, fd) {
        Opened::File(object) => Plan::of(format!("file {object}"), Write),
        _ => Plan::invisible(),
    }
}

fn list(world: &mut World, task: usize) -> Plan {
    let fd = world.call(task).int(0);
    match world.opened(task, fd) {
        Opened::Directory(name) => Plan::of(format!("list {name}"), Read),
        Opened::Elsewhere(path) if path.starts_with("/proc") => {
            world.note("listed: the processes in /proc");
            Plan::invisible()
        }
        _ => Plan::invisible(),
    }
}
