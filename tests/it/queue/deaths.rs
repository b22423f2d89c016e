//! Dead and stopped processes, and what the others see of them.

use super::forked::{Fresh, LONG, child, state, wait_until};
use super::trial;
use libtest_mimic::Trial;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{Signal, kill};
use nix::sys::time::TimeValLike;
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, pause};
use proclab::queue::error::{RecvTimeoutError, SendError, SendTimeoutError, TryRecvError};
use proclab::queue::{Receiver, bounded};
use std::time::{Duration, Instant};

pub(super) fn tests() -> Vec<Trial> {
    vec![
        trial("a_sleeping_receiver_notices_the_last_senders_death", last_sender),
        trial("a_sleeping_sender_notices_the_last_receivers_death", last_receiver),
        trial("a_send_after_the_last_receivers_death_is_refused_at_once", refused_at_once),
        trial("a_stopped_process_is_alive", stopped_is_alive),
        trial(
            "a_process_stopped_in_the_middle_of_a_send_delays_no_other_beyond_the_timeout",
            stopped_in_the_middle,
        ),
        trial("a_leased_message_returns_to_a_sleeper_when_its_holder_is_killed", lease_comes_back),
        trial("a_leased_message_stays_with_a_holder_that_is_stopped", lease_stays),
        trial("the_end_waits_for_leased_messages", end_waits_for_leases),
        trial("the_message_that_a_killed_receiver_took_is_reported_with_its_pid", losses_are_told),
        trial("a_waiting_process_uses_no_processor_time", idle_costs_nothing),
        trial("nothing_is_left_open", nothing_is_left),
    ]
}

/// Kills a process that waits for it.
fn end(pid: Pid) {
    kill(pid, Signal::SIGKILL).expect("it is our child");
    waitpid(pid, None).expect("it is our child");
}

fn asleep(pid: Pid) {
    wait_until(|| state(pid) == Some('S')).expect("it goes to sleep");
}

/// A queue whose sending end only a child holds.
fn held_by_child<T>(capacity: usize) -> (Pid, Receiver<T>) {
    let (sender, receiver) = bounded::<T>(capacity).expect("a queue can be made");
    let holder = child(|| {
        loop {
            pause()
        }
    });
    drop(sender);
    (holder, receiver)
}

fn last_sender() {
    let mut ends = Some(bounded::<u64>(5).expect("a queue can be made"));
    let holder = child(|| {
        loop {
            pause()
        }
    });
    let sleeper = Fresh::start(|| {
        let (sender, receiver) = ends.take().expect("both ends");
        drop(sender);
        match receiver.recv() {
            Err(_) => vec![1],
            Ok(_) => vec![0],
        }
    });
    let (sender, receiver) = ends.expect("both ends");
    drop(sender);
    asleep(sleeper.pid);
    assert!(matches!(receiver.try_recv(), Err(TryRecvError::Empty)));
    end(holder);
    assert!(matches!(receiver.try_recv(), Err(TryRecvError::Disconnected)));
    assert_eq!(sleeper.end("hear of the end").unwrap(), [1]);
}

fn last_receiver() {
    let mut ends = Some(bounded::<u64>(1).expect("a queue can be made"));
    ends.as_ref().expect("both ends").0.send(1).expect("there is room");
    let holder = child(|| {
        loop {
            pause()
        }
    });
    let sleeper = Fresh::start(|| {
        let (sender, receiver) = ends.take().expect("both ends");
        drop(receiver);
        match sender.send(2) {
            Err(SendError::Disconnected(value)) => vec![value],
            other => panic!("{other:?}"),
        }
    });
    drop(ends);
    asleep(sleeper.pid);
    end(holder);
    assert_eq!(sleeper.end("hear of the end").unwrap(), [2]);
}

fn refused_at_once() {
    let (sender, receiver) = bounded::<u64>(100).expect("a queue can be made");
    let holder = child(|| {
        loop {
            pause()
        }
    });
    drop(receiver);
    sender.send(1).expect("a process could receive it");
    end(holder);
    assert!(matches!(sender.send(2), Err(SendError::Disconnected(2))));
}

fn stopped_is_alive() {
    let (holder, receiver) = held_by_child::<u64>(5);
    kill(holder, Signal::SIGSTOP).expect("it is our child");
    wait_until(|| state(holder) == Some('T')).expect("it stops");
    assert!(matches!(receiver.recv_timeout(Duration::from_millis(50)), Err(RecvTimeoutError::Timeout)));
    end(holder);
    assert!(matches!(receiver.recv_timeout(LONG), Err(RecvTimeoutError::Disconnected)));
}

/// Copying many megabytes happens under the lock, and takes long enough to stop the process inside.
fn stopped_in_the_middle() {
    let timeout = Duration::from_millis(40);
    let mut met = 0;
    for attempt in 1..80 {
        let (sender, receiver) = bounded::<String>(4).expect("a queue can be made");
        let large = child(|| {
            let _ = sender.send("x".repeat(48 << 20));
        });
        std::thread::sleep(Duration::from_millis(2 * attempt));
        kill(large, Signal::SIGSTOP).expect("it is our child");
        wait_until(|| matches!(state(large), Some('T' | 'Z'))).expect("it stops");
        let begin = Instant::now();
        match sender.send_timeout("1".to_owned(), timeout) {
            Ok(()) => {}
            Err(SendTimeoutError::Timeout(value)) => {
                assert!(value == "1" && begin.elapsed() >= timeout);
                met += 1;
            }
            Err(error) => panic!("{error}"),
        }
        assert!(begin.elapsed() < LONG);
        end(large);
        // The lock is free immediately, and no part of the large message is visible.
        sender.send_timeout("2".to_owned(), LONG).expect("no process is held up");
        while receiver.recv_timeout(LONG).expect("whole messages") != "2" {}
        if met > 0 {
            return;
        }
    }
    assert!(met > 0, "no process was ever stopped inside the lock");
}

fn lease_comes_back() {
    let (sender, receiver) = bounded::<u64>(5).expect("a queue can be made");
    sender.send(7).expect("there is room");
    let holder = child(|| {
        let _lease = receiver.lease().expect("there is one");
        loop {
            pause();
        }
    });
    wait_until(|| receiver.is_empty()).expect("it is leased");
    let sleeper = Fresh::start(|| {
        let lease = receiver.lease_timeout(LONG).expect("it comes back");
        let told = vec![*lease, u64::from(lease.deliveries())];
        lease.done().expect("it is ours");
        told
    });
    asleep(sleeper.pid);
    end(holder);
    assert_eq!(sleeper.end("take what was returned").unwrap(), [7, 2]);
    sender.join_timeout(LONG).expect("all is done");
    assert!(receiver.take_losses().expect("told").is_empty());
}

fn lease_stays() {
    let (sender, receiver) = bounded::<u64>(5).expect("a queue can be made");
    sender.send(7).expect("there is room");
    let holder = child(|| {
        let _lease = receiver.lease().expect("there is one");
        loop {
            pause();
        }
    });
    wait_until(|| receiver.is_empty()).expect("it is leased");
    kill(holder, Signal::SIGSTOP).expect("it is our child");
    wait_until(|| state(holder) == Some('T')).expect("it stops");
    assert!(matches!(receiver.recv_timeout(Duration::from_millis(50)), Err(RecvTimeoutError::Timeout)));
    end(holder);
    assert_eq!(receiver.recv_timeout(LONG).expect("it comes back"), 7);
}

fn end_waits_for_leases() {
    let mut ends = Some(bounded::<u64>(5).expect("a queue can be made"));
    ends.as_ref().expect("both ends").0.send(7).expect("there is room");
    let holder = child(|| {
        let (sender, receiver) = ends.take().expect("both ends");
        drop(sender);
        let _lease = receiver.lease().expect("there is one");
        loop {
            pause();
        }
    });
    let (sender, receiver) = ends.take().expect("both ends");
    wait_until(|| receiver.is_empty()).expect("it is leased");
    drop(sender);
    assert!(matches!(receiver.recv_timeout(Duration::from_millis(50)), Err(RecvTimeoutError::Timeout)));
    end(holder);
    assert_eq!(receiver.recv_timeout(LONG).expect("it comes back"), 7);
    assert!(matches!(receiver.recv_timeout(LONG), Err(RecvTimeoutError::Disconnected)));
}

fn losses_are_told() {
    let (sender, receiver) = bounded::<u64>(5).expect("a queue can be made");
    sender.send_many([0, 1, 2]).expect("there is room");
    let taker = child(|| {
        assert_eq!(receiver.recv().expect("there is one"), 0);
        assert_eq!(receiver.recv().expect("there is one"), 1);
        loop {
            pause();
        }
    });
    wait_until(|| receiver.len() == 1).expect("two are taken");
    asleep(taker);
    assert!(receiver.take_losses().expect("told").is_empty(), "it lives");
    end(taker);
    let losses = receiver.take_losses().expect("told");
    assert_eq!(losses.len(), 1);
    assert_eq!((losses[0].pid.as_raw(), losses[0].first, losses[0].count), (taker.as_raw(), 1, 1));
    assert!(receiver.take_losses().expect("told").is_empty(), "each loss is reported once");
    assert_eq!(receiver.recv().expect("there is one"), 2);
}

fn idle_costs_nothing() {
    let (sender, receiver) = bounded::<u64>(1).expect("a queue can be made");
    let used = || {
        let usage = getrusage(UsageWho::RUSAGE_SELF).expect("known");
        let microseconds = (usage.user_time() + usage.system_time()).num_microseconds();
        vec![microseconds.cast_unsigned(), usage.voluntary_context_switches().cast_unsigned()]
    };
    for sends in [false, true] {
        let idle = Fresh::start(|| {
            let before = used();
            if sends {
                sender.send(0).expect("there is room");
                let _ = sender.send_timeout(1, Duration::from_millis(500));
            } else {
                let _ = receiver.recv_timeout(Duration::from_millis(500));
            }
            used().into_iter().zip(before).map(|(after, before)| after - before).collect()
        });
        let used = idle.end("wait in vain").unwrap();
        // Going to sleep once takes far less than a hundredth of the time.
        assert!(used[0] < 5_000 && used[1] < 5, "{used:?} microseconds and switches");
    }
}

fn nothing_is_left() {
    let open = || std::fs::read_dir("/proc/self/fd").expect("/proc").count();
    let mapped =
        || std::fs::read_to_string("/proc/self/maps").expect("/proc").matches("memfd:proclab").count();
    let before = (open(), mapped());
    {
        let (sender, receiver) = bounded::<u64>(5).expect("a queue can be made");
        sender.send(1).expect("there is room");
        let lease = receiver.lease().expect("there is one");
        let user = child(|| {
            sender.send(2).expect("there is room");
            loop {
                pause();
            }
        });
        wait_until(|| receiver.len() == 1).expect("it is sent");
        end(user);
        drop((sender, receiver));
        lease.done().expect("it is ours");
    }
    assert_eq!((open(), mapped()), before);
}
