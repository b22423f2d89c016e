//! Programs that gain privileges while they are watched.

use std::os::unix::fs::{PermissionsExt, chown};
use std::process::Command;

use libtest_mimic::Trial;

use super::truth::{agrees_with_the_kernel, watched};
use super::{Outcome, Scratch, check, named, ns};

/// The user that nobody is.
const NOBODY: u32 = 65_534;

pub(super) fn tests() -> Vec<Trial> {
    let test = |name: &str, body: fn() -> Outcome| crate::common::bounded(format!("watch::{name}"), body);
    vec![
        test("a_process_whose_exec_gains_privileges_is_followed_by_proc", from_root),
        test("an_unprivileged_watch_of_a_set_user_id_program_is_no_less_true", from_nobody),
        test("a_process_that_proc_hides_is_in_an_unknown_state", hidden),
    ]
}

/// A copy of `sleep` that runs as `user`, where a set-user-ID program can be made and has an effect.
fn sleeper(scratch: &Scratch, user: u32) -> Result<Option<String>, libtest_mimic::Failed> {
    if !nix::unistd::geteuid().is_root() {
        println!("left out: a set-user-ID program (only root can make one)");
        return Ok(None);
    }
    let program = scratch.file("sleeper");
    std::fs::copy("/bin/sleep", &program)?;
    chown(&program, Some(user), Some(user))?;
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o4755))?;
    Ok(Some(program))
}

fn from_root() -> Outcome {
    let scratch = Scratch::new("privileged")?;
    let Some(program) = sleeper(&scratch, NOBODY)? else { return Ok(()) };
    for script in [format!("{program} 0.4; sleep 0.1"), format!("exec {program} 0.4")] {
        let (report, _) = watched(&["--tier", "exact"], &["sh", "-c", &script])?;
        let process = named(&report, "sleeper")?;
        check(!process["unrecorded_since_ns"].is_null() && process["exit"] == 0, process)?;
        check(ns(process, "running_ns") < 100_000_000, process)?;
        check((380_000_000..900_000_000).contains(&ns(process, "life_ns")), process)?;
        check(ns(process, "blocked_ns") + ns(process, "unknown_ns") > 350_000_000, process)?;
        check(ns(process, "zombie_at_least_ns") < 100_000_000, process)?;
        let others = super::processes(&report).iter().filter(|other| other["pid"] != process["pid"]);
        for other in others {
            check(other["unrecorded_since_ns"].is_null(), format!("said of another: {other:#}"))?;
        }
    }
    Ok(())
}

/// The same as another user, who may not read anything of the program but its sums.
fn from_nobody() -> Outcome {
    let scratch = Scratch::new("nobody")?;
    let Some(program) = sleeper(&scratch, 0)? else { return Ok(()) };
    let report = as_nobody(&scratch, &[&format!("{program} 0.3")], "")?;
    let process = named(&report, "sleeper")?;
    check(ns(process, "running_ns") < 100_000_000, process)?;
    check((280_000_000..900_000_000).contains(&ns(process, "life_ns")), process)?;
    check(ns(process, "blocked_ns") + ns(process, "unknown_ns") > 250_000_000, process)?;
    agrees_with_the_kernel(&report)
}

fn hidden() -> Outcome {
    let scratch = Scratch::new("hidden")?;
    let Some(program) = sleeper(&scratch, 0)? else { return Ok(()) };
    let report = as_nobody(&scratch, &[&format!("{program} 0.3")], "mount -o remount,hidepid=2 /proc;")?;
    let process = named(&report, "sleeper")?;
    check(ns(process, "running_ns") < 100_000_000, process)?;
    check(ns(process, "zombie_at_least_ns") < 100_000_000, process)?;
    check(ns(process, "unknown_ns") > 200_000_000, process)
}

/// The report that user `nobody` gets of a shell script, in a PID namespace of its own after `before`.
fn as_nobody(
    scratch: &Scratch,
    script: &[&str],
    before: &str,
) -> Result<serde_json::Value, libtest_mimic::Failed> {
    let script = format!("{}; true", script.join("; "));
    let command = nobody(scratch, &["--tier", "exact"], &script, before)?;
    let output = command.ok_or("only root can become another user")?.output()?;
    serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("{error}: {}", String::from_utf8_lossy(&output.stderr)).into())
}

/// A watch of a shell script by user `nobody`, in a PID namespace of its own after `before`.
pub(super) fn nobody(
    scratch: &Scratch,
    options: &[&str],
    script: &str,
    before: &str,
) -> Result<Option<Command>, libtest_mimic::Failed> {
    if !nix::unistd::geteuid().is_root() {
        println!("left out: a watch by another user (only root can become one)");
        return Ok(None);
    }
    // A build may lie where nobody can go.
    let proclab = scratch.file("proclab");
    std::fs::copy(env!("CARGO_BIN_EXE_proclab"), &proclab)?;
    let user = NOBODY.to_string();
    let become_nobody = "setpriv --reuid=$0 --regid=$0 --clear-groups";
    let mut command = Command::new("unshare");
    command.args([
        "-mpf",
        "--mount-proc",
        "sh",
        "-c",
        &format!("{before} exec {become_nobody} \"$@\""),
        &user,
    ]);
    command.args([&proclab, "watch", "--format", "json"]).args(options).args(["--", "sh", "-c", script]);
    Ok(Some(command))
}
