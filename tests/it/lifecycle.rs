//! From start to reaping: a join is exact, whatever happens to the child and around it.

use crate::common::id_of;
use crate::common::{
    PATIENCE, children_named, end_of, ends, hold, lives, own_pid, result_of, sleep, sleeper, state_of,
    supervisor, trials, until,
};
use ipc_channel::ipc::{self, IpcReceiver, IpcSender};
use libtest_mimic::Trial;
use nix::sys::signal::Signal as Known;
use proclab::Pid;
use proclab::sys::pidfd;
use proclab::sys::poll::{Deadline, readable};
use proclab::sys::procfs::stat::of_process;
use proclab::wire::handle::Fd;
use proclab::{Child, Exit, Handle, JoinError, Process, Signal, StartError, StartMethod, wait_any};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

pub(crate) fn tests() -> Vec<Trial> {
    trials!["lifecycle":
        termination_is_requested_and_reported_by_the_join,
        a_kill_is_reported_as_such,
        a_zero_timeout_returns_at_once_and_no_timeout_is_early,
        a_join_does_not_wait_for_a_grandchild,
        a_join_waits_for_what_the_child_became_by_exec,
        a_child_is_joined_although_its_signal_is_ignored,
        many_threads_can_join_one_child_at_once,
        an_exit_that_another_process_took_is_reported_as_stolen,
        a_stopped_child_is_alive,
        wait_any_returns_the_children_that_have_ended,
        a_child_can_be_polled_beside_other_things,
        a_child_knows_when_its_parent_has_ended,
        children_have_children_in_order,
        a_zombie_can_be_held_and_reaped,
        descriptors_in_a_child_do_not_grow_with_its_siblings,
        a_fork_is_refused_while_there_is_a_second_thread_and_only_then,
        a_start_works_from_any_thread,
        the_next_start_works_after_the_fork_server_was_killed,
        a_copy_of_a_handle_in_a_forked_child_joins_no_process,
        a_missing_child_entry_is_reported,
        a_fresh_copy_started_by_hand_reports_that,
        a_start_without_descriptors_fails_and_leaves_no_process,
        a_start_without_standard_streams_works,
        exit_handlers_run_in_the_child,
    ]
}

const ALL: [StartMethod; 3] = StartMethod::ALL;

fn termination_is_requested_and_reported_by_the_join() {
    for method in ALL {
        let supervisor = supervisor();
        let child = supervisor.start(sleeper(method)).unwrap();
        assert_eq!(child.join_timeout(Duration::ZERO).unwrap(), None);
        child.terminate().unwrap();
        assert_eq!(end_of(&child), Exit::Signal { signal: Signal::TERM, core_dumped: false });
        assert_eq!(child.exit().and_then(Exit::python), Some(-15));
        child.terminate().unwrap();
        child.kill().unwrap();
        assert_eq!(child.join().unwrap(), Exit::Signal { signal: Signal::TERM, core_dumped: false });
    }
}

fn a_kill_is_reported_as_such() {
    for method in ALL {
        let supervisor = supervisor();
        let child = supervisor.start(sleeper(method)).unwrap();
        child.kill().unwrap();
        assert_eq!(end_of(&child).python(), Some(-9));
        assert!(child.result().unwrap_err().to_string().contains("SIGKILL"));
    }
}

fn a_zero_timeout_returns_at_once_and_no_timeout_is_early() {
    let supervisor = supervisor();
    let child = supervisor.start(sleeper(StartMethod::Spawn)).unwrap();
    for timeout in [Duration::ZERO, Duration::from_nanos(1), Duration::from_millis(30)] {
        let begin = Instant::now();
        assert_eq!(child.join_timeout(timeout).unwrap(), None);
        assert!(begin.elapsed() >= timeout);
        let begin = Instant::now();
        assert!(wait_any(&[&*child], Some(timeout)).unwrap().is_empty());
        assert!(begin.elapsed() >= timeout);
    }
    child.kill().unwrap();
    // A timeout beyond the range of the clock means no limit, and does not overflow.
    assert_eq!(
        child.join_timeout(Duration::MAX).unwrap(),
        Some(Exit::Signal { signal: Signal::KILL, core_dumped: false })
    );
}

/// Starts a program that outlives this process, and ends.
#[expect(clippy::zombie_processes, reason = "nobody waits for it: that is what is tested")]
fn leave_a_program_behind(pids: IpcSender<Pid>) {
    let program = Command::new("sleep").arg("3600").stdin(Stdio::null()).spawn().unwrap();
    pids.send(id_of(&program)).unwrap();
}

fn a_join_does_not_wait_for_a_grandchild() {
    for method in ALL {
        let supervisor = supervisor();
        let (pids, pid) = ipc::channel().unwrap();
        let child = Process::new(leave_a_program_behind).args(pids).start_method(method);
        let child = supervisor.start(child).unwrap();
        let grandchild = pid.try_recv_timeout(PATIENCE).unwrap();
        assert_eq!(end_of(&child), Exit::Code(0));
        assert!(lives(grandchild));
        child.result().unwrap();
        supervisor.shutdown().unwrap();
        assert!(!lives(grandchild), "{method}: the process group of an ended child is ended too");
    }
}

fn become_a_program(script: String) {
    let error = Command::new("sh").arg("-c").arg(script).exec();
    panic!("{error}");
}

fn a_join_waits_for_what_the_child_became_by_exec() {
    for method in ALL {
        let supervisor = supervisor();
        let (reader, mut writer) = std::io::pipe().unwrap();
        let path = format!("/proc/{}/fd/{}", own_pid(), reader.as_raw_fd());
        let script = format!("read line < {path}; exit 7");
        let child = Process::new(become_a_program).args(script).start_method(method).die_with_parent(true);
        let child = supervisor.start(child).unwrap();
        until("the child has become a program", || {
            of_process(child.pid()).is_some_and(|stat| stat.name == "sh")
        });
        assert_eq!(child.join_timeout(Duration::from_millis(20)).unwrap(), None, "{method}");
        writer.write_all(b"go\n").unwrap();
        assert_eq!(end_of(&child), Exit::Code(7));
        assert!(child.result().is_err());
    }
}

fn seven() -> u8 {
    std::process::exit(7)
}

/// Ignores SIGCHLD until dropped.
struct Ignored(nix::libc::sighandler_t);

impl Ignored {
    #[expect(unsafe_code, reason = "the disposition of a signal")]
    fn new() -> Self {
        // SAFETY: ignoring a signal runs no code.
        Ignored(unsafe { nix::libc::signal(nix::libc::SIGCHLD, nix::libc::SIG_IGN) })
    }
}

impl Drop for Ignored {
    #[expect(unsafe_code, reason = "the disposition of a signal")]
    fn drop(&mut self) {
        // SAFETY: restores the previous disposition.
        unsafe { nix::libc::signal(nix::libc::SIGCHLD, self.0) };
    }
}

fn a_child_is_joined_although_its_signal_is_ignored() {
    let _ignored = Ignored::new();
    for method in ALL {
        let supervisor = supervisor();
        let child = supervisor.start(Process::new(seven).start_method(method)).unwrap();
        let exit = end_of(&child);
        assert!(matches!(exit, Exit::Code(7) | Exit::Stolen), "{method}: {exit:?}");
        assert!(!child.is_alive());
        let child = supervisor.start(sleeper(method)).unwrap();
        assert!(child.is_alive());
        assert_eq!(child.join_timeout(Duration::ZERO).unwrap(), None);
        supervisor.shutdown().unwrap();
        assert!(!child.is_alive());
        let child = supervisor.start(Process::new(|| 5).start_method(method)).unwrap();
        assert_eq!(result_of(&child), 5);
    }
}

fn many_threads_can_join_one_child_at_once() {
    for method in ALL {
        let supervisor = supervisor();
        let (door, entrance) = ipc::channel::<()>().unwrap();
        let child = Process::new(|entrance: IpcReceiver<()>| {
            let _ = entrance.recv();
            std::process::exit(3)
        });
        let child: Child<u8> = supervisor.start(child.args(entrance).start_method(method)).unwrap();
        std::thread::scope(|threads| {
            let joins: Vec<_> = (0..8).map(|_| threads.spawn(|| child.join().unwrap())).collect();
            let polls: Vec<_> =
                (0..2).map(|_| threads.spawn(|| wait_any(&[&*child], Some(PATIENCE)).unwrap())).collect();
            door.send(()).unwrap();
            joins.into_iter().for_each(|join| assert_eq!(join.join().unwrap(), Exit::Code(3)));
            polls.into_iter().for_each(|poll| assert_eq!(poll.join().unwrap(), [0]));
        });
    }
}

fn an_exit_that_another_process_took_is_reported_as_stolen() {
    for method in ALL {
        let supervisor = supervisor();
        let child = supervisor.start(sleeper(method)).unwrap();
        child.kill().unwrap();
        nix::sys::wait::waitpid(nix::unistd::Pid::from_raw(child.pid().as_raw()), None).unwrap();
        assert_eq!(end_of(&child), Exit::Stolen);
        assert_eq!(child.exit().and_then(Exit::python), None);
        assert!(!child.is_alive());
        child.terminate().unwrap();
        assert!(supervisor.active_children().is_empty());
    }
}

fn a_stopped_child_is_alive() {
    let supervisor = supervisor();
    let child = supervisor.start(sleeper(StartMethod::Spawn)).unwrap();
    child.signal(Signal::STOP).unwrap();
    until("it is stopped", || state_of(child.pid()) == 'T');
    assert!(child.is_alive());
    assert_eq!(child.join_timeout(Duration::from_millis(5)).unwrap(), None);
    child.terminate().unwrap();
    assert!(child.is_alive(), "a stopped process handles SIGTERM when it continues");
    child.signal(Signal::CONT).unwrap();
    assert_eq!(end_of(&child), Exit::Signal { signal: Signal::TERM, core_dumped: false });
}

fn wait_at(entrance: IpcReceiver<()>) {
    let _ = entrance.recv();
}

fn wait_any_returns_the_children_that_have_ended() {
    let supervisor = supervisor();
    assert!(wait_any::<Handle>(&[], None).unwrap().is_empty());
    let (mut doors, mut children) = (Vec::new(), Vec::new());
    for method in ALL {
        let (door, entrance) = ipc::channel::<()>().unwrap();
        doors.push(door);
        children.push(supervisor.start(Process::new(wait_at).args(entrance).start_method(method)).unwrap());
    }
    assert!(wait_any(&children, Some(Duration::ZERO)).unwrap().is_empty());
    doors[1].send(()).unwrap();
    assert_eq!(wait_any(&children, Some(PATIENCE)).unwrap(), [1]);
    // Children that have already ended are returned at once, all together.
    assert_eq!(wait_any(&children, None).unwrap(), [1]);
    children[2].kill().unwrap();
    end_of(&children[2]);
    assert_eq!(wait_any(&children, None).unwrap(), [1, 2]);
    drop(doors);
    end_of(&children[0]);
    assert_eq!(wait_any(&children, None).unwrap(), [0, 1, 2]);
}

fn a_child_can_be_polled_beside_other_things() {
    for method in ALL {
        let supervisor = supervisor();
        let child = supervisor.start(sleeper(method)).unwrap();
        let (reader, mut writer) = std::io::pipe().unwrap();
        let sources = [child.as_fd(), reader.as_fd()];
        assert_eq!(readable(&sources, Deadline::now()).unwrap(), [false, false]);
        writer.write_all(b"x").unwrap();
        assert_eq!(readable(&sources, Deadline::NEVER).unwrap(), [false, true]);
        child.kill().unwrap();
        assert!(ends(&child));
        end_of(&child);
        assert!(ends(&child), "its descriptor stays valid and ready");
    }
}

/// Starts a child that reports the end of this process, and sleeps.
fn have_a_witness(method: StartMethod, word: IpcSender<(Pid, bool)>) {
    let supervisor = supervisor();
    let witness = Process::new(witness).args(word).start_method(method).daemon(false).die_with_parent(false);
    let _witness = supervisor.start(witness).unwrap();
    sleep();
}

fn witness(word: IpcSender<(Pid, bool)>) {
    let parent = proclab::parent().unwrap();
    assert!(!parent.wait_timeout(Duration::from_millis(1)));
    word.send((parent.pid(), false)).unwrap();
    word.send((parent.pid(), parent.wait_timeout(PATIENCE))).unwrap();
}

fn a_child_knows_when_its_parent_has_ended() {
    for method in ALL {
        let supervisor = supervisor();
        let (word, words) = ipc::channel().unwrap();
        let child = Process::new(have_a_witness).args((method, word)).die_with_parent(true);
        let child = supervisor.start(child.start_method(method)).unwrap();
        assert_eq!(words.try_recv_timeout(PATIENCE).unwrap(), (child.pid(), false));
        child.terminate().unwrap();
        assert_eq!(words.try_recv_timeout(PATIENCE).unwrap(), (child.pid(), true));
        end_of(&child);
    }
}

fn generation(depth: u32, method: StartMethod) -> Vec<(Pid, Pid)> {
    let mut all = vec![(own_pid(), Pid::parent())];
    if depth > 0 {
        let supervisor = supervisor();
        for _ in 0..2 {
            let child = Process::new(generation).args((depth - 1, method)).start_method(method);
            all.extend(result_of(&supervisor.start(child).unwrap()));
        }
    }
    all
}

fn children_have_children_in_order() {
    for method in ALL {
        let supervisor = supervisor();
        let child = Process::new(generation).args((2, method)).start_method(method);
        let all = result_of(&supervisor.start(child).unwrap());
        assert_eq!(all.len(), 7);
        assert_eq!(all[0].1, own_pid());
        assert!([1, 4].iter().all(|at| all[*at].1 == all[0].0), "{method}: {all:?}");
        assert!(
            [2, 3].iter().all(|at| all[*at].1 == all[1].0) && [5, 6].iter().all(|at| all[*at].1 == all[4].0)
        );
        assert!(all.iter().all(|(pid, _)| !lives(*pid)));
    }
}

fn a_zombie_can_be_held_and_reaped() {
    for method in ALL {
        let supervisor = supervisor();
        let child = supervisor.start(Process::new(seven).leave_zombie(true).start_method(method)).unwrap();
        assert_eq!(end_of(&child), Exit::Code(7));
        assert_eq!(state_of(child.pid()), 'Z');
        assert!(!child.is_alive());
        assert!(supervisor.active_children().is_empty());
        supervisor.reap().unwrap();
        assert_eq!(wait_any(&[&*child], None).unwrap(), [0]);
        assert_eq!(state_of(child.pid()), 'Z', "{method}: only `reap` reaps it");
        assert_eq!(child.reap().unwrap(), Some(Exit::Code(7)));
        assert_eq!(state_of(child.pid()), '-');
        let held = supervisor.start(Process::new(seven).leave_zombie(true).start_method(method)).unwrap();
        end_of(&held);
        drop(supervisor);
        assert_eq!(state_of(held.pid()), '-', "{method}: dropping its supervisor reaps it");
    }
}

fn n_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn descriptors_in_a_child_do_not_grow_with_its_siblings() {
    for method in ALL {
        let supervisor = supervisor();
        let start = || supervisor.start(Process::new(n_descriptors).start_method(method)).unwrap();
        // The first start may create resources that all later ones share.
        result_of(&start());
        let alone = result_of(&start());
        let siblings: Vec<_> = (0..20).map(|_| supervisor.start(sleeper(method)).unwrap()).collect();
        assert_eq!(result_of(&start()), alone, "{method}");
        drop(siblings);
        supervisor.shutdown().unwrap();
    }
}

fn a_fork_is_refused_while_there_is_a_second_thread_and_only_then() {
    let supervisor = supervisor();
    let fork = || supervisor.start(Process::new(|| 1).start_method(StartMethod::Fork));
    for _ in 0..50 {
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || ended.recv());
        assert!(matches!(fork().unwrap_err(), StartError::Threads { n_threads: 2 }));
        drop(end);
        let _ = thread.join().unwrap();
        // The thread has ended, but the kernel may still be removing it.
        assert_eq!(result_of(&fork().unwrap()), 1);
    }
}

fn a_start_works_from_any_thread() {
    for method in FRESH {
        let supervisor = supervisor();
        let child = std::thread::scope(|threads| {
            threads.spawn(|| supervisor.start(sleeper(method)).unwrap()).join().unwrap()
        });
        // It must die with its parent process, not with the thread that started it.
        assert_eq!(child.join_timeout(Duration::from_millis(20)).unwrap(), None, "{method}");
        child.kill().unwrap();
        end_of(&child);
    }
    let forked = supervisor().start(Process::new(|| 1).start_method(StartMethod::Fork)).unwrap();
    assert_eq!(result_of(&forked), 1, "starts from a thread leave nothing that prevents a fork");
}

const FRESH: [StartMethod; 2] = [StartMethod::Spawn, StartMethod::ForkServer];

fn the_next_start_works_after_the_fork_server_was_killed() {
    let supervisor = supervisor();
    let start = || supervisor.start(Process::new(own_pid).start_method(StartMethod::ForkServer)).unwrap();
    for _ in 0..3 {
        let child = start();
        assert_eq!(result_of(&child), child.pid());
        // The server, and the child that it holds in reserve, which has the same name.
        let servers = children_named("forkserver");
        assert!(!servers.is_empty());
        // All are held before one is killed: the reserve ends with its server, and may be reaped at once.
        let held: Vec<_> = servers.iter().map(|pid| hold(*pid)).collect();
        for process in &held {
            let _ = pidfd::send_signal(process.as_fd(), Known::SIGKILL as i32);
        }
        assert!(held.into_iter().all(ends));
        let child = start();
        assert_eq!(result_of(&child), child.pid());
    }
}

static KEPT: Mutex<Option<Handle>> = Mutex::new(None);

fn join_the_kept() -> (bool, bool, bool) {
    let kept = KEPT.lock().unwrap().take().unwrap();
    let refused = matches!(kept.join(), Err(JoinError::NotOurChild { .. }));
    let supervisor = supervisor();
    let own = supervisor.start(Process::new(|| 1).start_method(StartMethod::Fork)).unwrap();
    let alive = kept.is_alive();
    drop(kept);
    (refused, alive, result_of(&own) == 1)
}

fn a_copy_of_a_handle_in_a_forked_child_joins_no_process() {
    let supervisor = supervisor();
    let sibling = supervisor.start(sleeper(StartMethod::Fork)).unwrap();
    *KEPT.lock().unwrap() = Some(sibling.handle().clone());
    let child = supervisor.start(Process::new(join_the_kept).start_method(StartMethod::Fork)).unwrap();
    assert_eq!(result_of(&child), (true, false, true));
    *KEPT.lock().unwrap() = None;
    assert!(sibling.is_alive());
    sibling.kill().unwrap();
    end_of(&sibling);
}

const FORGETFUL: &str = "PROCLAB_IT_FORGETS_THE_CHILD_ENTRY";

pub(crate) fn is_forgetful() -> bool {
    std::env::var_os(FORGETFUL).is_some()
}

#[expect(clippy::print_stdout, reason = "a program of its own, whose words are read by the test")]
pub(crate) fn forget_the_child_entry() {
    println!("main");
    for method in FRESH {
        println!("{}", supervisor().start(Process::new(own_pid).start_method(method)).unwrap_err());
    }
}

/// Runs a program that must end.
fn output_of(command: &mut Command) -> (Option<i32>, String, String) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let ended = ends(hold(id_of(&child)));
    if !ended {
        child.kill().unwrap();
    }
    let output = child.wait_with_output().unwrap();
    assert!(ended, "{command:?} does not end: {output:?}");
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn a_missing_child_entry_is_reported() {
    let own = std::env::current_exe().unwrap();
    let (code, out, _) = output_of(Command::new(own).env(FORGETFUL, "1"));
    assert_eq!(code, Some(0));
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.len(), 3, "main has run once: {out}");
    assert!(lines[1].contains("child_entry") && lines[2].contains("child_entry"), "{out}");
}

fn a_fresh_copy_started_by_hand_reports_that() {
    for program in [std::env::current_exe().unwrap(), env!("CARGO_BIN_EXE_proclab").into()] {
        let (code, _, said) = output_of(Command::new(program).arg("--proclab-child").stdin(Stdio::null()));
        assert_eq!(code, Some(2));
        assert!(said.starts_with("error: ") && said.lines().count() == 1, "{said}");
    }
}

/// Starts children under increasing limits of descriptors. Returns how many starts failed, how many worked, and which
/// processes are left.
fn start_with_few_descriptors(method: StartMethod) -> (u32, u32, Vec<Pid>) {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let supervisor = supervisor();
    // Resources that are created once are created first.
    result_of(&supervisor.start(Process::new(|| 1).start_method(method)).unwrap());
    let open = u64::try_from(n_descriptors()).unwrap();
    let hard = getrlimit(Resource::RLIMIT_NOFILE).unwrap().1;
    let (mut failed, mut started) = (0, 0);
    for limit in open.saturating_sub(12)..open + 12 {
        setrlimit(Resource::RLIMIT_NOFILE, limit, hard).unwrap();
        match supervisor.start(Process::new(|| 1).start_method(method)) {
            Err(_) => failed += 1,
            Ok(child) => {
                started += 1;
                end_of(&child);
            }
        }
    }
    setrlimit(Resource::RLIMIT_NOFILE, 256, hard).unwrap();
    assert_eq!(result_of(&supervisor.start(Process::new(|| 1).start_method(method)).unwrap()), 1);
    let left = supervisor.active_children().iter().map(|child| child.pid()).collect();
    (failed, started, left)
}

fn a_start_without_descriptors_fails_and_leaves_no_process() {
    for method in ALL {
        let supervisor = supervisor();
        let child = Process::new(start_with_few_descriptors).args(method).die_with_parent(true);
        let child = supervisor.start(child).unwrap();
        let (failed, started, left) = result_of(&child);
        assert!(failed > 0 && started > 0, "{method}: {failed} failed, {started} worked");
        assert!(left.is_empty(), "{method}: {left:?}");
    }
}

#[expect(unsafe_code, reason = "closing the standard streams")]
fn start_without_streams(method: StartMethod) -> i32 {
    for fd in 0..3 {
        // SAFETY: this child does not use the standard streams.
        unsafe { nix::libc::close(fd) };
    }
    let supervisor = supervisor();
    (0..5).map(|_| result_of(&supervisor.start(Process::new(|| 1).start_method(method)).unwrap())).sum()
}

fn a_start_without_standard_streams_works() {
    for method in ALL {
        let supervisor = supervisor();
        let child = Process::new(start_without_streams).args(method).start_method(StartMethod::Spawn);
        assert_eq!(result_of(&supervisor.start(child).unwrap()), 5, "{method}");
    }
}

static LAST_WORD: Mutex<Option<File>> = Mutex::new(None);

extern "C" fn say_the_last_word() {
    LAST_WORD.lock().unwrap().take().unwrap().write_all(b"the end").unwrap();
}

#[expect(unsafe_code, reason = "atexit of the C library")]
fn report_at_exit(word: Fd) {
    *LAST_WORD.lock().unwrap() = Some(File::from(word.into_owned()));
    // SAFETY: the handler is a plain function of this program.
    unsafe { nix::libc::atexit(say_the_last_word) };
}

fn exit_handlers_run_in_the_child() {
    for method in ALL {
        let supervisor = supervisor();
        let (mut reader, writer) = std::io::pipe().unwrap();
        let child = Process::new(report_at_exit).args(Fd::from(OwnedFd::from(writer)));
        assert_eq!(end_of(&supervisor.start(child.start_method(method)).unwrap()), Exit::Code(0));
        let mut words = String::new();
        reader.read_to_string(&mut words).unwrap();
        assert_eq!(words, "the end", "{method}");
    }
}
