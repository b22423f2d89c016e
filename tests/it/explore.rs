//! Interleavings of real processes: counted, compared with a brute force, and replayed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use libtest_mimic::Trial;
use proclab::Supervisor;
use proclab::explore::engine::{System, execute};
use proclab::explore::search::{Tally, search};
use proclab::explore::strategy::{exhaustive::Exhaustive, replay::Replay};
use proclab::scenario::pipeline::Pipeline;
use proclab::scenario::pipeline::params::{Params, QueueKind};
use proclab::scenario::run::gate::GatedRun;
use proclab::scenario::run::verdict::Verdict;
use proclab::scenario::tickets::Tickets;
use proclab::scenario::tickets::locks::{LockKind, Promise};
use proclab::scenario::tickets::params::{Sale, Store};

use crate::model;

pub(crate) fn tests() -> Vec<Trial> {
    let trial = |name: &str, test: fn()| {
        crate::common::bounded(name, move || {
            test();
            Ok(())
        })
    };
    vec![
        trial("explore::real_processes_count_what_a_brute_force_counts", counts_as_brute_force),
        trial("explore::real_processes_count_what_a_brute_force_counts_with_kills", counts_with_kills),
        trial("explore::every_lock_keeps_its_promise", promises),
        trial("explore::every_witness_replays_twenty_times", replays),
        trial("explore::pipelines_deadlock_in_exactly_the_expected_schedules", pipelines),
        trial("explore::a_token_is_explored_and_replayed_on_the_command_line", command_line),
        trial("explore::bad_input_causes_one_clear_line", bad_input),
        trial("explore::a_bounded_search_continues_from_its_file", resumed),
        trial("explore::ctrl_c_ends_a_search_with_a_stopped_worker_at_once", stopped_worker),
        trial("explore::free_runs_come_to_a_verdict", free_runs),
        trial("explore::trials_show_the_race_by_default", race_by_default),
        trial("explore::replay_step_shows_the_state_and_undoes_steps", step_by_step),
        trial("explore::one_schedule_per_class_finds_the_same_on_real_processes", reduction),
    ]
}

/// A directory that is removed when dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let next = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("proclab-it-explore-{}-{next}", std::process::id()));
        std::fs::create_dir(&dir).unwrap();
        Self(dir)
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn sale(buyers: usize, stock: i64, lock: LockKind, search: bool, store: Store) -> Sale {
    Sale { buyers, stock, lock, search, store, think: Duration::ZERO }
}

fn explore(sale: &Sale, kills: usize, reduce: bool) -> Tally<Verdict> {
    let (supervisor, scratch) = (Supervisor::new().unwrap(), Scratch::new());
    let mut lab = GatedRun::<Tickets>::new(&supervisor, sale, scratch.path()).unwrap();
    let mut tally = Tally::default();
    explore_all(&mut lab, kills, reduce, &mut tally);
    tally
}

fn explore_all<S: System<Outcome = Verdict>>(
    lab: &mut S,
    kills: usize,
    reduce: bool,
    tally: &mut Tally<Verdict>,
) where
    S::Error: std::fmt::Debug,
{
    let mut exhaustive = Exhaustive::new(reduce, kills);
    let begin = std::time::Instant::now();
    let in_time = |_: &Tally<_>, _: &_| begin.elapsed() < Duration::from_secs(60);
    assert!(search(lab, exhaustive.strategy(), kills, tally, in_time).unwrap(), "too slow");
}

fn explore_pipeline(pipeline: &Params, reduce: bool) -> Tally<Verdict> {
    let (supervisor, scratch) = (Supervisor::new().unwrap(), Scratch::new());
    let mut lab = GatedRun::<Pipeline>::new(&supervisor, pipeline, scratch.path()).unwrap();
    let mut tally = Tally::default();
    explore_all(&mut lab, 0, reduce, &mut tally);
    tally
}

fn modelled(kind: LockKind) -> model::Lock {
    match kind.name {
        "none" => model::Lock::None,
        "flock" | "posix" | "mutex" => model::Lock::Right,
        "posix-closed" => model::Lock::UntilRead,
        "exclusive-file" => model::Lock::Abandoned,
        "unlinked-file" | "inherited" => model::Lock::Broken,
        "thread-mutex" => model::Lock::Private,
        "check-outside" => model::Lock::ReadFirst,
        "twice" => model::Lock::Twice,
        "compare-and-swap" => model::Lock::Swap,
        name => panic!("the model knows no lock called {name}"),
    }
}

fn lock(name: &str) -> LockKind {
    name.parse().unwrap()
}

fn compare(sale: &Sale, kills: usize) {
    let brute = model::brute_force(&model::Sale {
        buyers: sale.buyers,
        stock: sale.stock,
        lock: modelled(sale.lock),
        search: sale.search,
        rename: sale.store == Store::Rename,
        kills,
    });
    let tally = explore(sale, kills, false);
    let counts: Vec<_> = tally.outcomes.iter().map(|(v, found)| (v.name(), found.count)).collect();
    let mut expected: Vec<_> = brute.verdicts.into_iter().collect();
    expected.sort_by_key(|(name, _)| counts.iter().position(|(found, _)| found == name));
    assert_eq!(counts, expected, "{sale:?} with {kills} kills");
    if kills == 0 {
        assert_eq!(tally.classes(), brute.classes.len() as u64, "{sale:?}");
    }
}

fn counts_as_brute_force() {
    for kind in LockKind::all() {
        for (search, store) in [(false, Store::Truncate), (false, Store::Rename), (true, Store::Rename)] {
            for stock in [1, 2] {
                compare(&sale(2, stock, kind, search, store), 0);
            }
        }
    }
    compare(&sale(2, 11, lock("none"), true, Store::Truncate), 0);
    compare(&sale(3, 2, lock("none"), false, Store::Rename), 0);
    compare(&sale(3, 1, lock("flock"), false, Store::Truncate), 0);
}

fn counts_with_kills() {
    for kind in LockKind::all() {
        compare(&sale(2, 1, kind, false, Store::Rename), 1);
    }
    compare(&sale(2, 2, lock("flock"), false, Store::Truncate), 1);
}

fn promises() {
    for kind in LockKind::all() {
        let plain = explore(&sale(2, 1, kind, false, Store::Rename), 0, true);
        let killed = explore(&sale(2, 1, kind, false, Store::Rename), 1, true);
        let only = |tally: &Tally<Verdict>, verdict| tally.outcomes.keys().eq([&verdict]);
        match kind.promise {
            Promise::Right => {
                assert!(only(&plain, Verdict::Ok) && only(&killed, Verdict::Ok), "{kind}");
            }
            Promise::RightUntilKilled => {
                assert!(only(&plain, Verdict::Ok), "{kind}");
                assert!(killed.outcomes.contains_key(&Verdict::Deadlock), "{kind}");
            }
            Promise::Broken => assert!(plain.outcomes.contains_key(&Verdict::Oversold), "{kind}"),
            Promise::Deadlocks => assert!(only(&plain, Verdict::Deadlock), "{kind}"),
        }
    }
}

fn replays() {
    for (kind, kills) in [(lock("none"), 0), (lock("exclusive-file"), 1)] {
        let sale = sale(2, 1, kind, true, Store::Truncate);
        let found = explore(&sale, kills, true);
        let (supervisor, scratch) = (Supervisor::new().unwrap(), Scratch::new());
        let mut lab = GatedRun::<Tickets>::new(&supervisor, &sale, scratch.path()).unwrap();
        for (verdict, found) in &found.outcomes {
            for _ in 0..20 {
                let mut replay = Replay::of(found.witness.events.clone());
                let trace = execute(&mut lab, &mut replay, kills).unwrap().unwrap();
                replay.check(&trace.events).unwrap();
                assert_eq!(&trace, &found.witness);
                assert_eq!(lab.judge(&trace).unwrap(), *verdict);
            }
        }
    }
}

/// One schedule per class is executed, and together they represent all schedules of the naive search.
fn is_reduced(what: &dyn std::fmt::Debug, full: &Tally<Verdict>, reduced: &Tally<Verdict>) {
    assert_eq!(reduced.schedules, full.classes(), "{what:?}");
    assert_eq!(reduced.classes(), full.classes(), "{what:?}");
    assert_eq!(reduced.represents, full.schedules, "{what:?}");
    assert!(reduced.outcomes.keys().eq(full.outcomes.keys()), "{what:?}");
    for (verdict, found) in &full.outcomes {
        assert_eq!(reduced.outcomes[verdict].cost, found.cost, "{what:?} {verdict}");
        assert_eq!(reduced.outcomes[verdict].represents, found.count, "{what:?} {verdict}");
    }
}

fn reduction() {
    for kind in LockKind::all() {
        for (search, store) in [(false, Store::Rename), (false, Store::Truncate), (true, Store::Rename)] {
            let sale = sale(2, 1, kind, search, store);
            is_reduced(&sale, &explore(&sale, 0, false), &explore(&sale, 0, true));
        }
        let sale = sale(2, 1, kind, false, Store::Rename);
        is_reduced(&sale, &explore(&sale, 1, false), &explore(&sale, 1, true));
    }
    let larger = sale(3, 2, lock("none"), false, Store::Rename);
    let (full, reduced) = (explore(&larger, 0, false), explore(&larger, 0, true));
    assert_eq!(full.schedules, 90, "two steps each of three buyers");
    is_reduced(&larger, &full, &reduced);
    for (consumers, queue) in [(2_u64, QueueKind::Ours), (1, QueueKind::LostWakeup)] {
        for sentinels in [1, consumers] {
            let pipeline = pipeline(consumers, sentinels, queue);
            is_reduced(&pipeline, &explore_pipeline(&pipeline, false), &explore_pipeline(&pipeline, true));
        }
    }
}

fn pipeline(consumers: u64, sentinels: u64, queue: QueueKind) -> Params {
    Params { producers: 1, consumers, items: 1, capacity: 1, sentinels, queue }
}

fn pipelines() {
    let deadlocks = |pipeline: &Params| {
        let tally = explore_pipeline(pipeline, false);
        let found = tally.outcomes.get(&Verdict::Deadlock).map_or(0, |found| found.count);
        assert!(tally.outcomes.keys().all(|verdict| matches!(verdict, Verdict::Ok | Verdict::Deadlock)));
        (found, tally.schedules)
    };
    assert_eq!(deadlocks(&pipeline(2, 2, QueueKind::Ours)).0, 0);
    let (found, schedules) = deadlocks(&pipeline(2, 1, QueueKind::Ours));
    assert_eq!(found, schedules, "one sentinel is too few for two consumers");
    let (found, schedules) = deadlocks(&pipeline(1, 1, QueueKind::LostWakeup));
    assert!(0 < found && found < schedules, "{found} of {schedules}");
}

/// Runs the program; its exit code, standard output and standard error.
fn proclab(args: &[&str]) -> (i32, String, String) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_proclab")).args(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

fn json(args: &[&str]) -> serde_json::Value {
    let (_, out, err) = proclab(args);
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{err}"))
}

fn command_line() {
    let race = ["explore", "tickets", "--lock", "none", "--no-search", "--store", "rename"];
    let (code, text, _) = proclab(&race);
    assert_eq!(code, 3);
    assert!(text.contains("oversold: 4 of 6 schedules"), "{text}");
    let scratch = Scratch::new();
    let file = scratch.path().join("witness.json");
    let file = file.to_str().unwrap();
    let found = json(&[&race[..], &["--format", "json", "--save", file]].concat());
    assert_eq!((&found["schedules"], &found["complete"]), (&6.into(), &true.into()));
    for outcome in found["outcomes"].as_array().unwrap() {
        let replayed = json(&["replay", outcome["token"].as_str().unwrap(), "--format", "json"]);
        assert_eq!(replayed["verdict"], outcome["verdict"]);
        assert_eq!(replayed["steps"], outcome["witness"]["steps"]);
    }
    assert_eq!(json(&["replay", file, "--format", "json"])["verdict"], "oversold");
    let locked = ["explore", "tickets", "--no-search", "--buyers", "3", "--reduce", "--format", "json"];
    let locked = json(&locked);
    assert_eq!((&locked["schedules"], &locked["classes"]), (&6.into(), &6.into()));
}

fn bad_input() {
    let scratch = Scratch::new();
    let file = scratch.path().join("witness.json");
    let file = file.to_str().unwrap();
    let found = ["explore", "tickets", "--lock", "none", "--save", file, "--format", "json"];
    let token = json(&found)["outcomes"][0]["token"].as_str().unwrap().to_owned();
    let edited = std::fs::read_to_string(file).unwrap().replacen(r#""name": "read""#, r#""name": "jump""#, 1);
    std::fs::write(file, edited).unwrap();
    let mistyped = token.replacen('a', "b", 1);
    let cases: [(&[&str], &str); 6] = [
        (&["replay", "nonsense"], "`nonsense` is not a token"),
        (&["replay", &mistyped], "mistyped"),
        (&["replay", &token, "--buyers", "3"], "already contains the parameters"),
        (&["replay", file], "is called `jump`"),
        (&["explore", "tickets", "--budget", "0"], "above zero"),
        (&["explore", "tickets", "--sentinels", "1"], "is an option of pipeline"),
    ];
    for (args, message) in cases {
        let (code, out, err) = proclab(args);
        assert_eq!((code, out.as_str()), (2, ""), "{args:?}: {err}");
        assert!(err.lines().next().is_some_and(|line| line.contains(message)), "{args:?}: {err}");
    }
}

fn resumed() {
    let scratch = Scratch::new();
    let file = scratch.path().join("frontier.json");
    let args = ["explore", "tickets", "--lock", "none", "--budget", "30", "--format", "json", "--resume"];
    let args = [&args[..], &[file.to_str().unwrap()]].concat();
    let whole = json(&["explore", "tickets", "--lock", "none", "--format", "json"]);
    let mut parts = 0;
    let last = loop {
        parts += 1;
        let found = json(&args);
        if found["complete"] == true {
            break found;
        }
        assert!(parts < 10, "the search does not end");
    };
    assert!(parts > 1);
    assert_eq!(last["schedules"], whole["schedules"]);
    assert_eq!(last["outcomes"][0]["count"], whole["outcomes"][0]["count"]);
}

fn free_runs() {
    let found = json(&[
        "trials",
        "tickets",
        "-n",
        "20",
        "--lock",
        "flock",
        "--no-search",
        "--buyers",
        "3",
        "--format",
        "json",
    ]);
    assert_eq!(found["trials"], 20);
    let outcomes = found["outcomes"].as_array().unwrap();
    let ok = outcomes.iter().find(|outcome| outcome["verdict"] == "ok").unwrap();
    assert_eq!((&ok["count"], &ok["high"]), (&20.into(), &1.0.into()));
    let sold = outcomes.iter().find(|outcome| outcome["verdict"] == "oversold").unwrap();
    assert_eq!((&sold["count"], &sold["low"]), (&0.into(), &0.0.into()));
}

fn race_by_default() {
    let found = json(&["trials", "tickets", "-n", "30", "--format", "json"]);
    let outcomes = found["outcomes"].as_array().unwrap();
    let sold = outcomes.iter().find(|outcome| outcome["verdict"] == "oversold").unwrap();
    assert!(sold["count"].as_u64().unwrap() >= 15, "{found}");
    let swept = json(&[
        "trials",
        "tickets",
        "-n",
        "10",
        "--sweep",
        "lock=none,flock",
        "--no-search",
        "--format",
        "json",
    ]);
    let right = |row: usize| {
        swept["rows"][row]["outcomes"]
            .as_array()
            .unwrap()
            .iter()
            .all(|outcome| outcome["verdict"] == "ok" || outcome["count"] == 0)
    };
    assert!(!right(0) && right(1), "{swept}");
}

/// Runs `replay --step` with typed input, or with a file that has no lines.
fn stepped(stdin: std::process::Stdio, typed: &[u8]) -> (i32, String, String) {
    use std::io::Write;
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_proclab"));
    command.args(["replay", "t2k1.no.qr~ab2a~tfvvpt", "--step"]).stdin(stdin);
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(typed).unwrap();
    }
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

fn step_by_step() {
    use std::process::Stdio;
    // A reads; undo; B reads and writes; A continues: now the sale is right.
    let (code, out, told) = stepped(Stdio::piped(), b"a\n-\nb\nb\na\na\n");
    assert_eq!(code, 0, "{out}{told}");
    assert!(out.contains("verdict: ok"), "{out}");
    assert!(told.contains("[stock: 1]  next: A at read, B at read"), "{told}");
    assert!(told.contains("undone: step 1") && told.contains("[stock: 0]"), "{told}");
    let (code, out, _) = stepped(Stdio::from(std::fs::File::open("/dev/zero").unwrap()), b"");
    assert_eq!((code, out.starts_with("stopped")), (0, true), "input without lines stops the replay");
}

fn stopped_worker() {
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};
    let mut program = Command::new(env!("CARGO_BIN_EXE_proclab"));
    program.args(["explore", "tickets", "--buyers", "6", "--lock", "none"]).stdout(Stdio::null());
    let mut program = program.stderr(Stdio::null()).spawn().unwrap();
    let send = |signal: &str, pid: u32| {
        assert!(Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success());
    };
    let children = |pid: u32| -> Vec<u32> {
        let list = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        list.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
    };
    let begin = Instant::now();
    // Six buyers and the janitor.
    let workers = loop {
        let workers = children(program.id());
        if workers.len() >= 7 {
            break workers;
        }
        assert!(begin.elapsed() < Duration::from_secs(20), "the workers never start: {workers:?}");
        std::thread::sleep(Duration::from_millis(10));
    };
    workers.iter().for_each(|worker| send("-STOP", *worker));
    send("-INT", program.id());
    let begin = Instant::now();
    while program.try_wait().unwrap().is_none() {
        assert!(begin.elapsed() < Duration::from_secs(8), "Ctrl-C waits for a stopped worker");
        std::thread::sleep(Duration::from_millis(10));
    }
}
