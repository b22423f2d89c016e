//! Trees that start their children again: OTP's types, strategies and intensity.

use crate::common::{PATIENCE, ends, hold, kill, lives, own_pid, trials};
use libtest_mimic::Trial;
use nix::sys::signal::Signal as Known;
use proclab::supervisor::{
    BackOff, ChildSpec, Restart, RunError, RunningTree, Strategy, Tree, TreeEvent, heartbeat, ready,
};
use proclab::sync::Value;
use proclab::{Exit, Pid, Process, StartMethod};
use std::time::{Duration, Instant};

pub(crate) fn tests() -> Vec<Trial> {
    trials!["restart":
        each_type_of_child_is_restarted_after_the_ends_it_says,
        one_for_one_restarts_only_the_one_that_ended,
        one_for_all_restarts_all_in_order,
        rest_for_one_restarts_what_stands_behind,
        a_temporary_child_that_is_ended_for_another_is_gone,
        more_restarts_than_there_may_be_end_the_tree,
        restarts_that_lie_further_apart_than_the_period_do_not_add_up,
        a_tree_below_is_restarted_as_a_whole_when_it_is_given_up,
        a_child_that_cannot_start_ends_those_before_it,
        a_restart_waits_as_the_back_off_says,
        the_next_child_is_started_once_the_one_before_is_ready,
        a_child_without_a_heartbeat_is_killed_and_started_again,
        children_are_ended_in_reverse_order,
        a_child_can_be_terminated_restarted_and_added,
        an_interrupt_ends_the_tree_in_order,
        children_are_started_again_under_every_start_method,
        a_tree_is_at_rest_when_its_children_have_ended_for_good,
    ]
}

fn wait_for_ever() {
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}

fn sleeper() -> Process<(), ()> {
    Process::new(wait_for_ever).start_method(StartMethod::ForkServer)
}

/// Ends in one of the ways of OTP's suite: normally, because it is asked to, by a failure, by a kill.
fn end(how: String) {
    match how.as_str() {
        "normal" => {}
        "shutdown" => kill(own_pid(), Known::SIGTERM),
        "abnormal" => std::process::exit(1),
        "panic" => panic!("on purpose"),
        _ => kill(own_pid(), Known::SIGKILL),
    }
}

fn pid_of(tree: &RunningTree, child: &str) -> Option<Pid> {
    tree.children().into_iter().find(|state| state.child == child)?.pid
}

fn pids(tree: &RunningTree) -> Vec<Option<Pid>> {
    tree.children().into_iter().map(|state| state.pid).collect()
}

/// Steps until an event has come for which this holds; all events until then.
fn step_until(tree: &mut RunningTree, mut is_it: impl FnMut(&TreeEvent) -> bool) -> Vec<TreeEvent> {
    let (begin, mut all) = (Instant::now(), Vec::new());
    loop {
        let some = tree.step(Duration::from_millis(200)).unwrap();
        let found = some.iter().any(&mut is_it);
        all.extend(some);
        if found {
            return all;
        }
        assert!(begin.elapsed() < PATIENCE, "{all:?}");
    }
}

fn started(child: &str) -> impl Fn(&TreeEvent) -> bool {
    move |event| matches!(event, TreeEvent::Started { child: who, .. } if who == child)
}

fn drain(tree: &mut RunningTree) {
    while !tree.step(Duration::ZERO).unwrap().is_empty() {}
}

fn each_type_of_child_is_restarted_after_the_ends_it_says() {
    let matrix = [
        (Restart::Permanent, ["normal", "shutdown", "abnormal", "panic", "kill"].as_slice(), [].as_slice()),
        (Restart::Transient, &["abnormal", "panic", "kill"], &["normal", "shutdown"]),
        (Restart::Temporary, &[], &["normal", "shutdown", "abnormal", "panic", "kill"]),
    ];
    for (restart, restarted, left) in matrix {
        for (how, is_restarted) in
            restarted.iter().map(|how| (how, true)).chain(left.iter().map(|how| (how, false)))
        {
            let process = Process::new(end).args((*how).to_owned()).start_method(StartMethod::ForkServer);
            let spec = ChildSpec::new("child", process).restart(restart);
            let mut tree = Tree::new(Strategy::OneForOne).intensity(1, PATIENCE).child(spec).start().unwrap();
            let mut starts = 0;
            let ended = tree.run(|event| starts += u32::from(started("child")(event)));
            // One that is restarted ends again, and then too often.
            assert_eq!(starts, 1 + u32::from(is_restarted), "{restart:?} {how}");
            assert_eq!(matches!(ended, Err(RunError::GivenUp { .. })), is_restarted, "{restart:?} {how}");
            let remain = usize::from(restart != Restart::Temporary);
            assert_eq!(tree.children().len(), remain, "{restart:?} {how}");
        }
    }
}

fn three(strategy: Strategy) -> RunningTree {
    let children = ["a", "b", "c"].map(|id| ChildSpec::new(id, sleeper()));
    let tree = children.into_iter().fold(Tree::new(strategy).intensity(5, PATIENCE), Tree::child);
    let mut tree = tree.start().unwrap();
    drain(&mut tree);
    tree
}

fn one_for_one_restarts_only_the_one_that_ended() {
    let mut tree = three(Strategy::OneForOne);
    let before = pids(&tree);
    kill(before[1].unwrap(), Known::SIGKILL);
    step_until(&mut tree, started("b"));
    let after = pids(&tree);
    assert!(after[0] == before[0] && after[1] != before[1] && after[1].is_some() && after[2] == before[2]);
}

fn one_for_all_restarts_all_in_order() {
    let mut tree = three(Strategy::OneForAll);
    let before = pids(&tree);
    kill(before[1].unwrap(), Known::SIGKILL);
    let events = step_until(&mut tree, started("c"));
    let order: Vec<String> = events
        .iter()
        .filter_map(|event| match event {
            TreeEvent::Stopped { child } => Some(format!("-{child}")),
            TreeEvent::Started { child, .. } => Some(format!("+{child}")),
            _ => None,
        })
        .collect();
    assert_eq!(order, ["-c", "-a", "+a", "+b", "+c"]);
    assert!(before.iter().zip(pids(&tree)).all(|(before, after)| *before != after && after.is_some()));
    assert!(before.iter().all(|pid| !lives(pid.unwrap())));
}

fn rest_for_one_restarts_what_stands_behind() {
    let mut tree = three(Strategy::RestForOne);
    let before = pids(&tree);
    kill(before[1].unwrap(), Known::SIGKILL);
    step_until(&mut tree, started("c"));
    let after = pids(&tree);
    assert!(after[0] == before[0] && after[1] != before[1] && after[2] != before[2]);
}

fn a_temporary_child_that_is_ended_for_another_is_gone() {
    for strategy in [Strategy::OneForAll, Strategy::RestForOne] {
        let mut tree = Tree::new(strategy)
            .child(ChildSpec::new("main", sleeper()))
            .child(ChildSpec::new("bystander", sleeper()).restart(Restart::Temporary))
            .start()
            .unwrap();
        drain(&mut tree);
        let bystander = pid_of(&tree, "bystander").unwrap();
        kill(pid_of(&tree, "main").unwrap(), Known::SIGKILL);
        step_until(&mut tree, started("main"));
        assert!(!lives(bystander) && tree.children().len() == 1, "{strategy:?}");
    }
}

fn more_restarts_than_there_may_be_end_the_tree() {
    let failing = Process::new(end).args("abnormal".to_owned()).start_method(StartMethod::ForkServer);
    let mut tree = Tree::new(Strategy::OneForOne)
        .intensity(3, PATIENCE)
        .child(ChildSpec::new("good", sleeper()))
        .child(ChildSpec::new("failing", failing))
        .start()
        .unwrap();
    let good = pid_of(&tree, "good").unwrap();
    let mut starts = 0;
    let ended = tree.run(|event| starts += u32::from(started("failing")(event))).unwrap_err();
    assert_eq!(starts, 4, "the first one and three more");
    assert!(
        ended.to_string().contains("more than 3 restarts") && ended.to_string().contains("`failing`"),
        "{ended}"
    );
    assert!(!lives(good), "the others are ended");
}

fn restarts_that_lie_further_apart_than_the_period_do_not_add_up() {
    let spec = ChildSpec::new("child", sleeper());
    let mut tree =
        Tree::new(Strategy::OneForOne).intensity(1, Duration::from_millis(1)).child(spec).start().unwrap();
    drain(&mut tree);
    for _ in 0..4 {
        kill(pid_of(&tree, "child").unwrap(), Known::SIGKILL);
        step_until(&mut tree, started("child"));
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn a_tree_below_is_restarted_as_a_whole_when_it_is_given_up() {
    let below = Tree::new(Strategy::OneForOne)
        .intensity(1, PATIENCE)
        .child(ChildSpec::new("x", sleeper()))
        .child(ChildSpec::new("y", sleeper()));
    let mut tree = Tree::new(Strategy::OneForOne)
        .intensity(1, PATIENCE)
        .child(ChildSpec::new("top", sleeper()))
        .child(ChildSpec::tree("below", below))
        .start()
        .unwrap();
    drain(&mut tree);
    let (top, y) = (pid_of(&tree, "top").unwrap(), pid_of(&tree, "below/y").unwrap());
    kill(pid_of(&tree, "below/x").unwrap(), Known::SIGKILL);
    step_until(&mut tree, started("below/x"));
    assert_eq!(pid_of(&tree, "below/y"), Some(y), "one restart is the tree's own business");
    kill(pid_of(&tree, "below/x").unwrap(), Known::SIGKILL);
    let events = step_until(&mut tree, started("below/y"));
    assert!(events.contains(&TreeEvent::GivenUp { child: "below".to_owned() }), "{events:?}");
    assert!(!lives(y) && pid_of(&tree, "top") == Some(top));
    // Twice more: below is given up again, and so is the tree above.
    let mut ended = Ok(());
    for _ in 0..2 {
        kill(pid_of(&tree, "below/x").unwrap(), Known::SIGKILL);
        ended = loop {
            match tree.step(Duration::from_millis(200)) {
                Ok(events) if events.iter().any(started("below/x")) => break Ok(()),
                Ok(_) => {}
                Err(error) => break Err(error),
            }
        };
    }
    assert!(matches!(ended, Err(RunError::GivenUp { child, .. }) if child == "below"));
    assert!(!lives(top));
}

fn a_child_that_cannot_start_ends_those_before_it() {
    let (reader, writer) = std::io::pipe().unwrap();
    let before = Process::new(hold_pipe).args(proclab::Fd::from(std::os::fd::OwnedFd::from(writer)));
    let failed = Tree::new(Strategy::OneForOne)
        .child(ChildSpec::new("before", before))
        .child(ChildSpec::new("bad", sleeper().current_dir("/no/such/folder")))
        .start();
    match failed {
        Err(RunError::Start { child, reason }) => {
            assert!(child == "bad" && reason.contains("current_dir"), "{child}: {reason}");
        }
        other => panic!("{other:?}"),
    }
    assert!(ends(reader), "the one before has ended");
}

fn hold_pipe(pipe: proclab::Fd) {
    wait_for_ever();
    drop(pipe);
}

fn a_restart_waits_as_the_back_off_says() {
    let failing = Process::new(end).args("abnormal".to_owned()).start_method(StartMethod::ForkServer);
    let mut tree = Tree::new(Strategy::OneForOne)
        .intensity(3, PATIENCE)
        .back_off(BackOff::new(Duration::from_millis(40), Duration::from_secs(1)))
        .child(ChildSpec::new("failing", failing))
        .start()
        .unwrap();
    let begin = Instant::now();
    let mut waits = Vec::new();
    tree.run(|event| {
        if let TreeEvent::Restarting { after, .. } = event {
            waits.push(*after);
        }
    })
    .unwrap_err();
    assert!(begin.elapsed() >= waits.iter().sum(), "never early");
    for (wait, whole) in waits.iter().zip([40, 80, 160]) {
        assert!(
            *wait >= Duration::from_millis(whole / 2) && *wait <= Duration::from_millis(whole),
            "{waits:?}"
        );
    }
}

fn be_ready_late(told: Value<u64>) {
    std::thread::sleep(Duration::from_millis(100));
    told.set(1);
    ready();
    wait_for_ever();
}

fn look_whether_ready(told: Value<u64>) {
    if told.get() != 1 {
        std::process::exit(9);
    }
    wait_for_ever();
}

fn the_next_child_is_started_once_the_one_before_is_ready() {
    let told = Value::new(0_u64).unwrap();
    let first = Process::new(be_ready_late).args(told.try_clone().unwrap());
    let second = Process::new(look_whether_ready).args(told.try_clone().unwrap());
    let mut tree = Tree::new(Strategy::OneForOne)
        .intensity(0, PATIENCE)
        .child(ChildSpec::new("first", first).ready_within(PATIENCE))
        .child(ChildSpec::new("second", second))
        .start()
        .unwrap();
    drain(&mut tree);
    assert!(tree.step(Duration::from_millis(100)).unwrap().is_empty(), "the second found the first ready");
    let late = Tree::new(Strategy::OneForOne)
        .child(ChildSpec::new("late", sleeper()).ready_within(Duration::from_millis(50)))
        .start();
    assert!(matches!(late, Err(RunError::Start { reason, .. }) if reason.contains("not ready within 50ms")));
}

fn beat_a_while() {
    for _ in 0..10 {
        heartbeat();
        std::thread::sleep(Duration::from_millis(20));
    }
    wait_for_ever();
}

fn a_child_without_a_heartbeat_is_killed_and_started_again() {
    let spec =
        ChildSpec::new("beating", Process::new(beat_a_while)).heartbeat_within(Duration::from_millis(600));
    let mut tree = Tree::new(Strategy::OneForOne).child(spec).start().unwrap();
    let begin = Instant::now();
    drain(&mut tree);
    let first = pid_of(&tree, "beating").unwrap();
    let events = step_until(&mut tree, started("beating"));
    assert!(begin.elapsed() >= Duration::from_millis(600), "it was well for a while");
    assert!(events.contains(&TreeEvent::Unwell { child: "beating".to_owned(), pid: first }), "{events:?}");
    assert!(!lives(first));
}

fn children_are_ended_in_reverse_order() {
    let mut tree = three(Strategy::OneForOne);
    let held: Vec<_> = pids(&tree).into_iter().map(|pid| hold(pid.unwrap())).collect();
    tree.shutdown().unwrap();
    let order: Vec<String> = tree.step(Duration::ZERO).unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(order, ["c: stopped", "b: stopped", "a: stopped"]);
    assert!(held.into_iter().all(ends) && tree.is_at_rest());
}

fn a_child_can_be_terminated_restarted_and_added() {
    let mut tree = three(Strategy::OneForOne);
    let b = pid_of(&tree, "b").unwrap();
    tree.terminate_child("b").unwrap();
    assert!(!lives(b) && pid_of(&tree, "b").is_none());
    drain(&mut tree);
    tree.restart_child("b").unwrap();
    let again = pid_of(&tree, "b").unwrap();
    tree.restart_child("b").unwrap();
    assert_eq!(pid_of(&tree, "b"), Some(again));
    tree.start_child(ChildSpec::new("d", sleeper())).unwrap();
    assert!(lives(pid_of(&tree, "d").unwrap()));
    assert!(matches!(tree.terminate_child("x"), Err(RunError::NoChild { .. })));
}

fn an_interrupt_ends_the_tree_in_order() {
    let (reader, writer) = std::io::pipe().unwrap();
    let children = ["a", "b"].map(|id| ChildSpec::new(id, sleeper()));
    let tree = children.into_iter().fold(Tree::new(Strategy::OneForOne), Tree::child);
    let mut tree = tree.start_with_interrupt(&reader).unwrap();
    drop(writer);
    let mut stopped = Vec::new();
    tree.run(|event| {
        if let TreeEvent::Stopped { child } = event {
            stopped.push(child.clone());
        }
    })
    .unwrap();
    assert_eq!(stopped, ["b", "a"]);
}

fn children_are_started_again_under_every_start_method() {
    for method in StartMethod::ALL {
        let counter = Value::new(0_u64).unwrap();
        let process = Process::new(count_and_fail).args(counter.try_clone().unwrap()).start_method(method);
        let mut tree = Tree::new(Strategy::OneForOne)
            .intensity(3, PATIENCE)
            .child(ChildSpec::new("counting", process).restart(Restart::Transient))
            .start()
            .unwrap();
        let mut exits = Vec::new();
        tree.run(|event| {
            if let TreeEvent::Exited { exit, .. } = event {
                exits.push(*exit);
            }
        })
        .unwrap();
        assert_eq!(
            (exits, counter.get()),
            (vec![Exit::Code(1), Exit::Code(1), Exit::Code(0)], 3),
            "{method}"
        );
    }
}

fn count_and_fail(counter: Value<u64>) {
    if counter.update(|count| count + 1) < 2 {
        std::process::exit(1);
    }
}

fn a_tree_is_at_rest_when_its_children_have_ended_for_good() {
    let quick = || Process::new(end).args("normal".to_owned());
    let below =
        Tree::new(Strategy::OneForOne).child(ChildSpec::new("x", quick()).restart(Restart::Temporary));
    let mut tree = Tree::new(Strategy::OneForOne)
        .child(ChildSpec::new("a", quick()).restart(Restart::Transient))
        .child(ChildSpec::tree("below", below).restart(Restart::Transient))
        .start()
        .unwrap();
    tree.run(|_| ()).unwrap();
    assert!(tree.is_at_rest());
}
