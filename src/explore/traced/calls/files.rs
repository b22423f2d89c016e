//! Calls on names and on what they refer to: open, rename, link, unlink, mkdir, stat and the like.
//!
//! A name in a folder is an object of its own (`name a/b`), so that calls on different names commute; the
//! list of names (`list a`) is another: names that are added or removed commute, and reading the list does not.

use nix::libc;
use std::os::unix::fs::MetadataExt;

use super::Arg::{At, Fd, Int, Mode, Open, Path};
use super::{Row, row, then};
use crate::explore::step::Access::{Add, Read, Write};
use crate::explore::traced::objects::{Opened, Resolved, folder_at, prefixes};
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
    then(row(arch::STAT, "stat", &[Path], |w, t| look(w, t, None, 0, true)), told),
    then(row(arch::LSTAT, "lstat", &[Path], |w, t| look(w, t, None, 0, false)), told),
    row(arch::ACCESS, "access", &[Path, Int], |w, t| look(w, t, None, 0, true)),
    row(arch::READLINK, "readlink", &[Path], |w, t| look(w, t, None, 0, false)),
    then(row(libc::SYS_newfstatat, "stat", &[At, Path], |w, t| look_at(w, t, 3)), told),
    then(row(libc::SYS_statx, "statx", &[At, Path], |w, t| look_at(w, t, 2)), told),
    row(libc::SYS_faccessat, "access", &[At, Path, Int], |w, t| look(w, t, Some(0), 1, true)),
    row(libc::SYS_faccessat2, "access", &[At, Path, Int], |w, t| look_at(w, t, 3)),
    row(libc::SYS_readlinkat, "readlink", &[At, Path], |w, t| look(w, t, Some(0), 1, false)),
    then(row(libc::SYS_fstat, "fstat", &[Fd], stat_descriptor), told),
    row(libc::SYS_chdir, "chdir", &[Path], |w, t| look(w, t, None, 0, true)),
    row(libc::SYS_getcwd, "getcwd", &[], |w, t| {
        let here = folder_at(&format!("/proc/{}/cwd", w.tid(t)));
        let here = w.inside(&here).filter(|here| here != ".");
        here.iter()
            .flat_map(|here| prefixes(here))
            .fold(Plan::invisible(), |plan, name| plan.and(format!("name {name}"), Read))
    }),
    row(libc::SYS_execve, "execve", &[Path], |w, t| execute(w, t, None, 0)),
    row(libc::SYS_execveat, "execveat", &[At, Path], |w, t| execute(w, t, Some(0), 1)),
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
    row(arch::CHMOD, "chmod", &[Path, Mode], |w, t| set_attributes(w, t, None, 0)),
    row(libc::SYS_fchmodat, "chmod", &[At, Path, Mode], |w, t| set_attributes(w, t, Some(0), 1)),
    row(arch::CHOWN, "chown", &[Path], |w, t| set_attributes(w, t, None, 0)),
    row(arch::LCHOWN, "lchown", &[Path], |w, t| set_attributes(w, t, None, 0)),
    row(libc::SYS_fchownat, "chown", &[At, Path], |w, t| set_attributes(w, t, Some(0), 1)),
    row(arch::UTIME, "utime", &[Path], |w, t| {
        w.note("utime");
        touch(w, t, None, 0)
    }),
    then(row(arch::UTIMES, "utimes", &[Path], |w, t| touch(w, t, None, 0)), timed),
    then(row(arch::FUTIMESAT, "utimes", &[At, Path], |w, t| touch(w, t, Some(0), 1)), timed),
    then(row(libc::SYS_utimensat, "utimensat", &[At, Path], utimensat), timed),
    row(libc::SYS_truncate, "truncate", &[Path, Int], |w, t| touch(w, t, None, 0)),
    row(libc::SYS_statfs, "statfs", &[Path], |w, t| {
        let resolved = resolve(w, t, None, 0, true);
        free_space(w, resolved.inside.is_some())
    }),
    row(libc::SYS_fstatfs, "fstatfs", &[Fd], |w, t| {
        let fd = w.call(t).int(0);
        let is_own = matches!(w.opened(t, fd), Opened::File(_) | Opened::Directory(_));
        free_space(w, is_own)
    }),
    row(arch::GETDENTS, "getdents", &[Fd], |w, t| {
        w.note("the order of a folder's list (the old getdents)");
        list(w, t)
    }),
    then(row(libc::SYS_getdents64, "getdents", &[Fd], list), listed),
];

/// How much room is left on the file system of the folder depends on all that is written there.
fn free_space(world: &mut World, is_own: bool) -> Plan {
    if is_own {
        world.note("asked how much room the file system has");
    }
    Plan::outside()
}

/// The path that an argument points to.
pub(super) fn path_of(world: &World, task: usize, index: usize) -> Vec<u8> {
    memory::string(world.tid(task), world.call(task).args[index], PATH_MAX).unwrap_or_default()
}

pub(super) fn resolve(world: &World, task: usize, at: Option<usize>, path: usize, follow: bool) -> Resolved {
    let at = at.map_or(libc::AT_FDCWD, |at| world.call(task).int(at));
    world.resolve(task, at, &path_of(world, task, path), follow)
}

/// Resolving a path reads the names of its folders and their permissions.
fn way(resolved: &Resolved) -> Plan {
    resolved.way.iter().fold(Plan::invisible(), |plan, name| {
        plan.and(format!("name {name}"), Read).and(attributes(name), Read)
    })
}

/// Moves the principal object to the front.
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
        return Plan::outside();
    };
    if flags & libc::O_TMPFILE == libc::O_TMPFILE {
        return way(&resolved);
    }
    if writes {
        world.would_write(resolved.meta.as_ref());
    }
    match &resolved.meta {
        None if flags & libc::O_CREAT != 0 => {
            world.made.insert(name.clone());
            let plan = Plan::of(format!("name {name}"), Write).and(format!("list {}", parent(&name)), Add);
            with_way(plan, &resolved)
        }
        Some(meta) if meta.is_file() && flags & libc::O_TRUNC != 0 && flags & libc::O_EXCL == 0 => {
            let object = file(world, &resolved).unwrap_or_default();
            let plan = Plan::of(format!("file {object}"), Write).and(format!("name {name}"), Read);
            with_way(plan.and(attributes(&object), Read), &resolved)
        }
        Some(meta) if meta.mode() & libc::S_IFMT == libc::S_IFIFO => {
            super::pipes::open_fifo(world, task, &name, (meta.dev(), meta.ino()), flags)
        }
        _ => {
            let plan = Plan::of(format!("name {name}"), Read);
            let plan = match file(world, &resolved) {
                Some(object) => plan.and(attributes(&object), Read),
                None => plan,
            };
            with_way(plan, &resolved)
        }
    }
}

/// A change outside the folder is reported, or refused with `EROFS`.
fn outside(world: &mut World, how: &str, path: &std::path::Path) -> Plan {
    if world.strict {
        return Plan::answered(-i64::from(libc::EROFS));
    }
    world.note(format!("{how} outside of the folder: {}", path.display()));
    // The next execution may begin in another way.
    world.forbids_copies = true;
    Plan::invisible()
}

/// The mode, owner and link count of a file.
fn attributes(object: &str) -> String {
    format!("attributes {object}")
}

/// A new description is private to this process until it forks.
fn opened(world: &mut World, task: usize, result: i64) {
    if let Ok(fd) = i32::try_from(result)
        && fd >= 0
    {
        world.process_mut(task).own.insert(fd);
        // Its name is where it was made.
        let _ = world.opened(task, fd);
    }
}

/// Devices without content.
fn harmless(path: &std::path::Path) -> bool {
    ["/dev/null", "/dev/zero", "/dev/full", "/dev/tty"]
        .iter()
        .any(|device| path == std::path::Path::new(device))
}

/// Files whose content depends on the machine, on the time, or on other processes.
pub(super) fn uncontrolled_source(path: &std::path::Path) -> bool {
    /// Files about a process itself that only the process changes.
    const OWN: [&str; 19] = [
        "attr",
        "auxv",
        "cgroup",
        "cmdline",
        "comm",
        "cwd",
        "environ",
        "exe",
        "fd",
        "gid_map",
        "limits",
        "loginuid",
        "maps",
        "mountinfo",
        "mounts",
        "ns",
        "oom_score_adj",
        "root",
        "uid_map",
    ];
    let text = path.to_string_lossy();
    if let Some(rest) = text.strip_prefix("/proc/self/").or_else(|| text.strip_prefix("/proc/thread-self/")) {
        return !OWN.contains(&rest.split('/').next().unwrap_or(rest));
    }
    let fixed = [
        "/proc/filesystems",
        "/proc/sys",
        "/proc/cpuinfo",
        "/proc/mounts",
        "/sys/devices/system/cpu",
        "/sys/fs/cgroup",
        "/sys/kernel/mm",
    ];
    let changing = ["/proc", "/sys", "/tmp", "/var/tmp", "/run", "/var/run", "/dev/shm", "/dev/mqueue"];
    changing.iter().any(|prefix| path.starts_with(prefix))
        && !fixed.iter().any(|prefix| path.starts_with(prefix))
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

/// Reads a name and the state of the file, such as its size.
fn look(world: &mut World, task: usize, at: Option<usize>, path: usize, follow: bool) -> Plan {
    let resolved = resolve(world, task, at, path, follow);
    let Some(name) = resolved.inside.clone() else { return of_process(world, task, &resolved.path) };
    if name == "." {
        // What it is told of the folder itself is always the same.
        let _ = file(world, &resolved);
        return way(&resolved);
    }
    let plan = Plan::of(format!("name {name}"), Read);
    let is_stat =
        matches!(super::find(world.call(task).number).map(|row| row.name), Some("stat" | "statx" | "lstat"));
    let object = file(world, &resolved);
    let plan = match &object {
        Some(object) => plan.and(attributes(object), Read),
        None => plan,
    };
    let plan = match (&resolved.meta, object) {
        (Some(meta), Some(object)) if meta.is_file() && is_stat => plan.and(format!("file {object}"), Read),
        (Some(meta), Some(_)) if meta.is_dir() && is_stat => plan.and(format!("list {name}"), Read),
        _ => plan,
    };
    with_way(plan, &resolved)
}

/// Reads `/proc` about another process of the program.
fn of_process(world: &mut World, task: usize, path: &std::path::Path) -> Plan {
    let mut parts = path.strip_prefix("/proc").into_iter().flatten();
    let Some(number) = parts.next().and_then(|number| number.to_str()?.parse::<i32>().ok()) else {
        return Plan::outside();
    };
    match world.by_number_of_process(number) {
        Some(process) if process == world.tasks[task].process => Plan::outside(),
        Some(process) if parts.next().is_none() => {
            super::processes::presence(world, Plan::invisible(), process)
        }
        _ => {
            world.note("looked at in /proc: another process");
            Plan::outside()
        }
    }
}

/// Another program begins: descriptors with `O_CLOEXEC` are closed, of which others may see the ends of pipes and
/// the locks.
fn execute(world: &mut World, task: usize, at: Option<usize>, path: usize) -> Plan {
    let resolved = resolve(world, task, at, path, true);
    let mut plan = look(world, task, at, path, true);
    if !resolved.meta.as_ref().is_some_and(std::fs::Metadata::is_file) {
        // It fails.
        return plan;
    }
    if let Some(object) = file(world, &resolved) {
        plan = plan.and(format!("file {object}"), Read);
    }
    if world.learned.contains(super::groups::SET_FOR_OTHERS) {
        plan = plan.and(super::groups::GROUPS, Read);
    }
    for fd in world.open_descriptors(task) {
        if super::pipes::flags(world, task, fd).is_some_and(|flags| flags & libc::O_CLOEXEC != 0) {
            plan = plan.with(super::descriptors::closing(world, task, fd));
        }
    }
    plan
}

fn stat_descriptor(world: &mut World, task: usize) -> Plan {
    let fd = world.call(task).int(0);
    match world.opened(task, fd) {
        Opened::File(object) => Plan::of(format!("file {object}"), Read).and(attributes(&object), Read),
        Opened::Directory(name) if name != "." => Plan::of(format!("list {name}"), Read),
        Opened::Elsewhere(_) => Plan::outside(),
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

pub(super) fn changed(world: &mut World, resolved: &Resolved) -> Plan {
    let Some(name) = &resolved.inside else {
        return outside(world, "changed", &resolved.path);
    };
    // The file gets its name from where it is now, before it is moved; a folder's list decides rmdir.
    let object = file(world, resolved);
    let mut plan = Plan::of(format!("name {name}"), Write).and(format!("list {}", parent(name)), Add);
    match object {
        Some(object) => plan = plan.and(attributes(&object), Add),
        None => drop(world.made.insert(name.clone())),
    }
    if resolved.meta.as_ref().is_some_and(std::fs::Metadata::is_dir) {
        plan = plan.and(format!("list {name}"), Read);
    }
    with_way(plan, resolved)
}

/// Changes the mode or owner of the file at a name.
fn set_attributes(world: &mut World, task: usize, at: Option<usize>, path: usize) -> Plan {
    let resolved = resolve(world, task, at, path, true);
    let Some(name) = resolved.inside.clone() else {
        return outside(world, "changed", &resolved.path);
    };
    if name == "." {
        world.note("the mode or owner of the folder itself was changed");
    }
    let plan = match file(world, &resolved) {
        Some(object) => Plan::of(attributes(&object), Write).and(format!("name {name}"), Read),
        None => Plan::of(format!("name {name}"), Read),
    };
    with_way(plan, &resolved)
}

/// Changes the file at a name, but not the name.
fn touch(world: &mut World, task: usize, at: Option<usize>, path: usize) -> Plan {
    let resolved = resolve(world, task, at, path, true);
    let Some(name) = resolved.inside.clone() else {
        return outside(world, "changed", &resolved.path);
    };
    world.would_write(resolved.meta.as_ref());
    let plan = match file(world, &resolved) {
        Some(_) if resolved.meta.as_ref().is_some_and(std::fs::Metadata::is_dir) => {
            Plan::of(format!("list {name}"), Write)
        }
        Some(object) => Plan::of(format!("file {object}"), Write),
        None => Plan::invisible(),
    };
    with_way(plan.and(format!("name {name}"), Read), &resolved)
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

/// Replaces the times and the device numbers that a call of the `stat` family has returned.
fn told(world: &mut World, task: usize, result: i64) {
    let call = world.call(task);
    if result != 0 {
        return;
    }
    match call.number {
        libc::SYS_statx => world.tidy_statx(task, call.args[4]),
        libc::SYS_newfstatat => world.tidy_stat(task, call.args[2]),
        _ => world.tidy_stat(task, call.args[1]),
    }
}

/// Records that the program has set the times of a file.
fn timed(world: &mut World, task: usize, result: i64) {
    let call = world.call(task);
    let object =
        world.task(task).plan.as_ref().and_then(|plan| {
            plan.touches.iter().find_map(|touch| touch.object.as_str().strip_prefix("file "))
        });
    if let (0, Some(object)) = (result, object.map(str::to_owned)) {
        let micro = call.number != libc::SYS_utimensat;
        let times = if call.number == arch::UTIMES { call.args[1] } else { call.args[2] };
        world.give_time(task, &object, times, micro);
    }
}

fn listed(world: &mut World, task: usize, result: i64) {
    let call = world.call(task);
    if result > 0 {
        world.tidy_list(task, call.int(0), call.args[1], result as usize);
    }
}

fn list(world: &mut World, task: usize) -> Plan {
    let fd = world.call(task).int(0);
    match world.opened(task, fd) {
        Opened::Directory(name) => Plan::of(format!("list {name}"), Read),
        Opened::Elsewhere(path) if path.starts_with("/proc") => {
            world.note("listed: the processes in /proc");
            world.sees_copies();
            Plan::invisible()
        }
        _ => Plan::invisible(),
    }
}
