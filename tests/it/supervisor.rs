//! Owners of children: daemons, orderly ends, orphans, and killed supervisors.

use crate::common::id_of;
use crate::common::{
    PATIENCE, end_of, ends, hold, kill, lives, own_pid, result_of, sleep, sleeper, state_of, supervisor,
    trials, until,
};
use ipc_channel::ipc::{self, IpcReceiver, IpcSender};
use libtest_mimic::Trial;
use nix::sys::signal::Signal as Known;
use proclab::queue::{Receiver, Sender, bounded};
use proclab::sys::poll::{Deadline, readable};
use proclab::sys::procfs::stat::of_process;
use proclab::sys::procfs::tree;
use proclab::sys::signal::Interrupt;
use proclab::wire::handle::Fd;
use proclab::{Exit, JoinError, Pid, Process, Signal, StartError, StartMethod, Supervisor, WaitAnyError};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

pub(crate) fn tests() -> Vec<Trial> {
    trials!["supervisor":
        the_daemon_flag_is_inherited_and_daemons_cannot_have_children,
        the_end_of_a_supervisor_terminates_daemons_and_joins_the_others,
        children_that_die_with_their_parent_end_with_a_killed_supervisor,
        ctrl_c_ends_the_whole_family_of_the_foreground_group,
        children_are_ended_in_reverse_order_of_their_start,
        a_child_that_outlives_the_grace_is_killed_and_not_before,
        stopped_children_are_ended_too,
        a_child_that_left_its_group_is_ended_too,
        a_wait_for_children_of_two_supervisors_obeys_both_interrupts,
        a_start_is_not_disturbed_by_a_thread_that_checks_the_children,
        a_dropped_supervisor_does_not_wait_for_a_child_that_waits_for_a_message_from_its_parent,
        a_dropped_supervisor_waits_for_children_that_work_or_sleep,
        the_whole_group_of_a_child_is_ended,
        a_group_of_stopped_and_dead_members_is_ended,
        a_shutdown_can_be_repeated_and_children_can_be_started_after_it,
        a_panic_ends_the_children,
        the_interrupt_ends_a_wait,
        the_interrupt_ends_a_start_even_if_the_fork_server_is_stopped,
        a_subreaper_reaps_orphans_and_ends_them,
        ended_siblings_are_reaped_while_one_is_joined,
        many_supervisors_can_be_created_and_dropped,
        a_forked_child_keeps_descriptors_that_reuse_numbers_of_a_dropped_supervisor,
        a_forked_child_can_drop_its_copy_of_a_supervisor,
    ]
}

const ALL: [StartMethod; 3] = StartMethod::ALL;

fn am_i_a_daemon(method: StartMethod) -> (bool, Option<bool>) {
    let child = supervisor().start(Process::new(|| proclab::current().is_daemon()).start_method(method));
    let refused = matches!(child, Err(StartError::DaemonHasChildren { .. }));
    (proclab::current().is_daemon(), if refused { None } else { Some(result_of(&child.unwrap())) })
}

fn the_daemon_flag_is_inherited_and_daemons_cannot_have_children() {
    for method in ALL {
        let supervisor = supervisor();
        let ask = |daemon: Option<bool>| {
            let process = Process::new(am_i_a_daemon).args(method).start_method(method);
            let process =
                daemon.map_or_else(|| Process::new(am_i_a_daemon).args(method), |d| process.daemon(d));
            result_of(&supervisor.start(process.start_method(method)).unwrap())
        };
        assert_eq!(ask(None), (false, Some(false)));
        assert_eq!(ask(Some(false)), (false, Some(false)));
        assert_eq!(ask(Some(true)), (true, None));
    }
}

fn answer_after(entrance: IpcReceiver<()>) {
    let _ = entrance.recv();
    std::process::exit(5);
}

fn the_end_of_a_supervisor_terminates_daemons_and_joins_the_others() {
    for method in ALL {
        let supervisor = supervisor();
        let daemon = supervisor.start(sleeper(method).daemon(true)).unwrap();
        let (door, entrance) = ipc::channel().unwrap();
        let other = Process::new(answer_after).args(entrance).start_method(method);
        let other = supervisor.start(other).unwrap();
        let watched = hold(daemon.pid());
        let opener = std::thread::spawn(move || {
            // The other child is released only when the daemon has ended, so the supervisor's drop waits for it.
            let ended = ends(watched);
            door.send(()).unwrap();
            ended
        });
        drop(supervisor);
        assert!(opener.join().unwrap());
        assert_eq!(
            daemon.exit(),
            Some(Exit::Signal { signal: Signal::TERM, core_dumped: false }),
            "{method}"
        );
        assert_eq!(other.exit(), Some(Exit::Code(5)));
        assert_eq!((state_of(daemon.pid()), state_of(other.pid())), ('-', '-'));
    }
}

fn have_children(method: StartMethod, pids: IpcSender<Vec<Pid>>) {
    let supervisor = supervisor();
    let daemon = supervisor.start(sleeper(method).daemon(true).die_with_parent(false)).unwrap();
    let other = supervisor.start(sleeper(method).die_with_parent(true)).unwrap();
    let mut all = vec![daemon.pid(), other.pid()];
    // The fork server and its reserve, if they exist.
    all.extend(crate::common::children_named("forkserver"));
    pids.send(all).unwrap();
    sleep();
}

fn children_that_die_with_their_parent_end_with_a_killed_supervisor() {
    for method in ALL {
        let supervisor = supervisor();
        let (pids, children) = ipc::channel().unwrap();
        let child = Process::new(have_children).args((method, pids)).start_method(method);
        let child = supervisor.start(child.die_with_parent(true)).unwrap();
        let grandchildren = children.try_recv_timeout(PATIENCE).unwrap();
        let held: Vec<_> = grandchildren.iter().map(|pid| hold(*pid)).collect();
        child.kill().unwrap();
        assert_eq!(end_of(&child).python(), Some(-9));
        assert!(held.iter().all(ends), "{method}");
    }
}

/// Starts a child, and a child that has children in turn, all with default settings.
fn have_a_family(method: StartMethod, generations: u8, pids: IpcSender<Vec<Pid>>) {
    let supervisor = supervisor();
    let sleeper = supervisor.start(Process::new(sleep).start_method(method)).unwrap();
    let mut all = vec![sleeper.pid()];
    if generations > 0 {
        let more = Process::new(have_a_family).args((method, generations - 1, pids.clone()));
        all.push(supervisor.start(more.start_method(method)).unwrap().pid());
    }
    // The fork server and its reserve, if they exist.
    all.extend(crate::common::children_named("forkserver"));
    pids.send(all).unwrap();
    sleep();
}

/// Ctrl-C sends SIGINT to the foreground group, which contains the program started from the shell, but not its children,
/// which lead groups of their own.
fn ctrl_c_ends_the_whole_family_of_the_foreground_group() {
    for method in ALL {
        let supervisor = supervisor();
        let (pids, family) = ipc::channel().unwrap();
        let program = Process::new(have_a_family).args((method, 2, pids)).start_method(method);
        let program = supervisor.start(program).unwrap();
        let members: Vec<Pid> = (0..3).flat_map(|_| family.try_recv_timeout(PATIENCE).unwrap()).collect();
        let held: Vec<_> = members.iter().map(|pid| hold(*pid)).collect();
        let group = nix::unistd::getpgid(Some(nix::unistd::Pid::from_raw(program.pid().as_raw()))).unwrap();
        nix::sys::signal::killpg(group, Known::SIGINT).unwrap();
        assert_eq!(end_of(&program), Exit::Signal { signal: Signal::INT, core_dumped: false });
        assert!(held.iter().all(ends), "{method}");
    }
}

/// Reports `SIGTERM`, then ends.
fn end_politely(number: u32, words: IpcSender<(u32, bool)>) {
    let interrupt = Interrupt::install().unwrap();
    words.send((number, false)).unwrap();
    readable(&[std::os::fd::AsFd::as_fd(&interrupt)], Deadline::NEVER).unwrap();
    words.send((number, true)).unwrap();
}

fn children_are_ended_in_reverse_order_of_their_start() {
    let supervisor = supervisor();
    let (words, word) = ipc::channel().unwrap();
    for number in 0..6 {
        let method = ALL[number as usize % 3];
        let child = Process::new(end_politely).args((number, words.clone())).start_method(method);
        supervisor.start(child.die_with_parent(true)).unwrap();
        assert_eq!(word.try_recv_timeout(PATIENCE).unwrap(), (number, false));
    }
    supervisor.shutdown().unwrap();
    let order: Vec<u32> = (0..6).map(|_| word.try_recv_timeout(PATIENCE).unwrap().0).collect();
    assert_eq!(order, [5, 4, 3, 2, 1, 0]);
}

#[expect(unsafe_code, reason = "the disposition of a signal")]
fn ignore_termination(ready: IpcSender<()>) {
    // SAFETY: ignoring a signal runs no code.
    unsafe { nix::libc::signal(nix::libc::SIGTERM, nix::libc::SIG_IGN) };
    ready.send(()).unwrap();
    sleep();
}

fn a_child_that_outlives_the_grace_is_killed_and_not_before() {
    for method in ALL {
        let grace = Duration::from_millis(150);
        let supervisor = Supervisor::new().unwrap().grace(grace);
        let (ready, is_ready) = ipc::channel().unwrap();
        let stubborn: Vec<_> = (0..3)
            .map(|_| {
                let child = Process::new(ignore_termination).args(ready.clone()).die_with_parent(true);
                let child = supervisor.start(child.start_method(method)).unwrap();
                is_ready.try_recv_timeout(PATIENCE).unwrap();
                child
            })
            .collect();
        let begin = Instant::now();
        supervisor.shutdown().unwrap();
        assert!(begin.elapsed() >= grace);
        assert!(begin.elapsed() < 20 * grace, "all children share one grace time");
        assert!(
            stubborn
                .iter()
                .all(|child| child.exit() == Some(Exit::Signal { signal: Signal::KILL, core_dumped: false }))
        );
    }
}

fn stopped_children_are_ended_too() {
    for method in ALL {
        let supervisor = supervisor();
        let child = supervisor.start(sleeper(method)).unwrap();
        child.signal(Signal::STOP).unwrap();
        until("it is stopped", || state_of(child.pid()) == 'T');
        supervisor.shutdown().unwrap();
        assert_eq!(child.exit(), Some(Exit::Signal { signal: Signal::TERM, core_dumped: false }), "{method}");
    }
}

fn join_the_group_of_the_parent(ready: IpcSender<()>) {
    let group = nix::unistd::getpgid(Some(nix::unistd::getppid())).unwrap();
    nix::unistd::setpgid(nix::unistd::Pid::from_raw(0), group).unwrap();
    ready.send(()).unwrap();
    sleep();
}

fn a_child_that_left_its_group_is_ended_too() {
    for method in ALL {
        let supervisor = supervisor();
        let (ready, is_ready) = ipc::channel().unwrap();
        let child = Process::new(join_the_group_of_the_parent).args(ready).start_method(method);
        let child = supervisor.start(child).unwrap();
        is_ready.try_recv_timeout(PATIENCE).unwrap();
        supervisor.shutdown().unwrap();
        assert!(!child.is_alive() && !lives(child.pid()), "{method}");
    }
}

fn a_wait_for_children_of_two_supervisors_obeys_both_interrupts() {
    let (interrupt, mut interrupting) = std::io::pipe().unwrap();
    let (first, second) = (supervisor(), Supervisor::with_interrupt(&interrupt).unwrap());
    let children = [&first, &second].map(|one| one.start(sleeper(StartMethod::Spawn)).unwrap());
    interrupting.write_all(b"!").unwrap();
    let waited = proclab::wait_any(&children, Some(PATIENCE));
    assert!(matches!(waited, Err(WaitAnyError::Interrupted)), "{waited:?}");
    first.shutdown().unwrap();
    second.shutdown().unwrap();
}

/// Reports its end, even in a panic.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn a_start_is_not_disturbed_by_a_thread_that_checks_the_children() {
    for method in [StartMethod::Spawn, StartMethod::ForkServer] {
        let supervisor = supervisor();
        let is_over = AtomicBool::new(false);
        std::thread::scope(|threads| {
            threads.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    supervisor.active_children();
                }
            });
            let _over = Over(&is_over);
            for _ in 0..100 {
                let child = supervisor.start(Process::new(own_pid).start_method(method)).unwrap();
                assert_eq!(result_of(&child), child.pid());
            }
        });
    }
}

fn take_all(messages: Receiver<u64>) -> u64 {
    messages.into_iter().count() as u64
}

fn fill(messages: Sender<u64>) {
    while messages.send(1).is_ok() {}
}

/// The ends of the queue are declared before the supervisor, as a newcomer might do, and so are dropped after it.
fn a_dropped_supervisor_does_not_wait_for_a_child_that_waits_for_a_message_from_its_parent() {
    for method in ALL {
        let (sender, receiver) = bounded::<u64>(5).unwrap();
        let (to_fill, filled) = bounded::<u64>(5).unwrap();
        let supervisor = supervisor().grace(Duration::ZERO);
        let taker = Process::new(take_all).args(receiver).start_method(method);
        let filler = Process::new(fill).args(to_fill).start_method(method);
        let (taker, filler) = (supervisor.start(taker).unwrap(), supervisor.start(filler).unwrap());
        sender.send(1).unwrap();
        let watched = [hold(taker.pid()), hold(filler.pid())];
        let dropped = std::thread::spawn(move || drop(supervisor));
        assert!(watched.into_iter().all(ends), "{method}");
        dropped.join().unwrap();
        drop((sender, filled));
    }
}

fn sleep_for(time: Duration) -> u8 {
    std::thread::sleep(time);
    7
}

fn a_dropped_supervisor_waits_for_children_that_work_or_sleep() {
    let _ends = bounded::<u64>(5).unwrap();
    let supervisor = supervisor().grace(Duration::ZERO);
    let child = supervisor.start(Process::new(sleep_for).args(Duration::from_millis(2500))).unwrap();
    drop(supervisor);
    assert_eq!(child.result().unwrap(), 7);
}

/// Starts programs in its group: some ignore termination, some stop themselves, some do neither.
#[expect(clippy::zombie_processes, reason = "nobody waits for it: that is what is tested")]
fn have_programs(scripts: Vec<String>, pids: IpcSender<Pid>) {
    for script in scripts {
        let program = Command::new("sh").args(["-c", &script]).stdin(Stdio::null()).spawn().unwrap();
        pids.send(id_of(&program)).unwrap();
    }
    sleep();
}

fn the_whole_group_of_a_child_is_ended() {
    for method in ALL {
        let supervisor = supervisor().grace(Duration::from_millis(300));
        let (pids, pid) = ipc::channel().unwrap();
        let scripts = ["sleep 3600", "trap '' TERM; sleep 3600 & wait", "kill -STOP $$; sleep 3600"];
        let child = Process::new(have_programs).args((scripts.map(str::to_owned).to_vec(), pids));
        let child = supervisor.start(child.start_method(method).die_with_parent(true)).unwrap();
        let programs: Vec<Pid> = scripts.iter().map(|_| pid.try_recv_timeout(PATIENCE).unwrap()).collect();
        until("one has stopped itself", || state_of(programs[2]) == 'T');
        supervisor.shutdown().unwrap();
        assert!(programs.iter().all(|pid| !lives(*pid)), "{method}");
        assert!(!tree::group_has_living(child.pid()).unwrap());
    }
}

/// Leaves behind a stopped program, and one that has ended and is not reaped for a while.
#[expect(clippy::zombie_processes, reason = "nobody waits for it: that is what is tested")]
fn leave_a_group(pids: IpcSender<Pid>) {
    let stopped = Command::new("sleep").arg("3600").stdin(Stdio::null()).spawn().unwrap();
    let pid = id_of(&stopped);
    kill(pid, Known::SIGSTOP);
    until("it is stopped", || state_of(pid) == 'T');
    pids.send(pid).unwrap();
}

fn a_group_of_stopped_and_dead_members_is_ended() {
    for method in ALL {
        let supervisor = supervisor();
        let (pids, pid) = ipc::channel().unwrap();
        let child = Process::new(leave_a_group).args(pids).start_method(method);
        let child = supervisor.start(child).unwrap();
        let left = pid.try_recv_timeout(PATIENCE).unwrap();
        end_of(&child);
        // The kernel ends an orphaned group that has stopped members (SIGHUP, SIGCONT: setpgid(2)), or the shutdown
        // does.
        supervisor.shutdown().unwrap();
        assert!(!lives(left), "{method}");
    }
}

fn a_shutdown_can_be_repeated_and_children_can_be_started_after_it() {
    let supervisor = supervisor();
    supervisor.shutdown().unwrap();
    for method in ALL {
        let child = supervisor.start(sleeper(method)).unwrap();
        supervisor.shutdown().unwrap();
        supervisor.shutdown().unwrap();
        assert!(!child.is_alive());
    }
    supervisor.finish().unwrap();
}

fn panic_with_children(pids: IpcSender<Pid>) {
    let supervisor = supervisor();
    let child = supervisor.start(sleeper(StartMethod::Spawn).die_with_parent(false)).unwrap();
    pids.send(child.pid()).unwrap();
    panic!("the supervisor's own code fails");
}

fn a_panic_ends_the_children() {
    let (pids, pid) = ipc::channel().unwrap();
    let supervisor = supervisor();
    let child = supervisor.start(Process::new(panic_with_children).args(pids)).unwrap();
    let grandchild = hold(pid.try_recv_timeout(PATIENCE).unwrap());
    assert_eq!(end_of(&child), Exit::Code(101));
    assert!(ends(grandchild));
}

fn the_interrupt_ends_a_wait() {
    for method in ALL {
        let (interrupt, mut interrupting) = std::io::pipe().unwrap();
        let supervisor = Supervisor::with_interrupt(&interrupt).unwrap();
        let child = supervisor.start(sleeper(method)).unwrap();
        interrupting.write_all(b"!").unwrap();
        assert!(matches!(child.join(), Err(JoinError::Interrupted)), "{method}");
        assert!(matches!(supervisor.finish(), Err(JoinError::Interrupted)));
        let refused = supervisor.start(sleeper(method));
        assert!(matches!(refused, Err(StartError::Interrupted { .. })), "{refused:?}");
        assert!(child.is_alive());
        drop(supervisor);
        assert!(!child.is_alive(), "after the interrupt, drop is a shutdown");
    }
}

fn the_interrupt_ends_a_start_even_if_the_fork_server_is_stopped() {
    let method = StartMethod::ForkServer;
    let first = supervisor();
    end_of(&first.start(Process::new(|| ()).start_method(method)).unwrap());
    let (interrupt, mut interrupting) = std::io::pipe().unwrap();
    let supervisor = Supervisor::with_interrupt(&interrupt).unwrap();
    interrupting.write_all(b"!").unwrap();
    let servers = crate::common::children_named("forkserver");
    servers.iter().for_each(|pid| kill(*pid, Known::SIGSTOP));
    // The first start may get the child in reserve; the next ones wait for the server.
    for _ in 0..3 {
        let refused = supervisor.start(sleeper(method));
        assert!(matches!(refused, Err(StartError::Interrupted { .. })), "{refused:?}");
    }
    servers.iter().filter(|pid| lives(**pid)).for_each(|pid| kill(*pid, Known::SIGCONT));
    assert_eq!(result_of(&first.start(Process::new(|| 5).start_method(method)).unwrap()), 5);
}

/// Starts a child that starts two children and ends: one of them ends by itself, the other does not.
fn be_a_subreaper(method: StartMethod) -> (bool, bool, Vec<Pid>) {
    let supervisor = supervisor().subreaper().unwrap();
    let (pids, pid) = ipc::channel().unwrap();
    let child = Process::new(leave_two).args((method, pids)).start_method(method);
    let child = supervisor.start(child).unwrap();
    let (short, long): (Pid, Pid) = pid.try_recv_timeout(PATIENCE).unwrap();
    end_of(&child);
    until("they are ours", || [short, long].iter().all(|pid| of_process(*pid).unwrap().ppid == own_pid()));
    kill(short, Known::SIGKILL);
    until("it has ended", || state_of(short) == 'Z');
    supervisor.reap().unwrap();
    let reaped = state_of(short) == '-';
    let alive = lives(long);
    drop(supervisor);
    // The fork server is a child of ours and not an orphan.
    let left = tree::children_by_parent(own_pid()).unwrap();
    let servers = crate::common::children_named("forkserver");
    (reaped, alive && state_of(long) == '-', left.into_iter().filter(|pid| !servers.contains(pid)).collect())
}

fn leave_two(method: StartMethod, pids: IpcSender<(Pid, Pid)>) {
    let supervisor = supervisor();
    let start = || supervisor.start(Process::new(sleep).start_method(method).die_with_parent(false)).unwrap();
    let (short, long) = (start(), start());
    pids.send((short.pid(), long.pid())).unwrap();
    std::process::exit(0);
}

fn a_subreaper_reaps_orphans_and_ends_them() {
    for method in ALL {
        let supervisor = supervisor();
        let child = Process::new(be_a_subreaper).args(method).start_method(StartMethod::Spawn);
        let child = supervisor.start(child.die_with_parent(true)).unwrap();
        assert_eq!(result_of(&child), (true, true, vec![]), "{method}");
    }
}

fn ended_siblings_are_reaped_while_one_is_joined() {
    let supervisor = supervisor();
    let (door, entrance) = ipc::channel::<()>().unwrap();
    let last = supervisor.start(Process::new(answer_after).args(entrance)).unwrap();
    let siblings: Vec<_> = (0..5).map(|nth| supervisor.start(sleeper(ALL[nth % 3])).unwrap()).collect();
    let pids: Vec<Pid> = siblings.iter().map(|sibling| sibling.pid()).collect();
    let opener = std::thread::spawn(move || {
        pids.iter().for_each(|pid| kill(*pid, Known::SIGKILL));
        until("all are reaped", || pids.iter().all(|pid| state_of(*pid) == '-'));
        door.send(()).unwrap();
    });
    assert_eq!(end_of(&last), Exit::Code(5));
    opener.join().unwrap();
    assert!(siblings.iter().all(|sibling| sibling.exit().and_then(Exit::python) == Some(-9)));
}

fn many_supervisors_can_be_created_and_dropped() {
    let count = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    for method in ALL {
        let once = || {
            let supervisor = supervisor();
            let child = supervisor.start(Process::new(|| 1).start_method(method)).unwrap();
            assert_eq!(result_of(&child), 1);
        };
        once();
        let before = count();
        (0..20).for_each(|_| once());
        assert_eq!(count(), before, "{method}");
    }
}

fn write_to_all(pipes: Vec<Fd>) -> usize {
    pipes.into_iter().filter(|pipe| nix::unistd::write(pipe, b"x").is_ok()).count()
}

fn a_forked_child_keeps_descriptors_that_reuse_numbers_of_a_dropped_supervisor() {
    let gone: Vec<_> = (0..3).map(|_| supervisor()).collect();
    drop(gone);
    let (_reader, writer) = std::io::pipe().unwrap();
    let pipes = (0..10).map(|_| Fd::from(OwnedFd::from(writer.try_clone().unwrap()))).collect();
    let supervisor = supervisor();
    let child = Process::new(write_to_all).args(pipes).start_method(StartMethod::Fork);
    assert_eq!(result_of(&supervisor.start(child).unwrap()), 10);
}

static KEPT: Mutex<Option<Supervisor>> = Mutex::new(None);

fn drop_the_copy() -> bool {
    // By now other descriptors may have the copy's numbers.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(KEPT.lock().unwrap().take());
    drop(writer);
    nix::unistd::read(&reader, &mut [0]).is_ok()
}

fn a_forked_child_can_drop_its_copy_of_a_supervisor() {
    let kept = supervisor();
    let sibling = kept.start(sleeper(StartMethod::Fork)).unwrap();
    *KEPT.lock().unwrap() = Some(kept);
    let supervisor = supervisor();
    let child = supervisor.start(Process::new(drop_the_copy).start_method(StartMethod::Fork)).unwrap();
    assert!(result_of(&child));
    assert!(sibling.is_alive(), "a copy owns no children");
    KEPT.lock().unwrap().take().unwrap().shutdown().unwrap();
    assert!(!sibling.is_alive());
}
