//! `proclab run` as a newcomer uses it: output, exit codes, and leftovers.

use crate::common::id_of;
use crate::common::{ends, hold, kill, state_of, trials, until};
use crate::program::{
    Lab, PROGRAM, finish, interrupted, json, listens, obeys, ran, refused, shell, text, validator,
};
use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use proclab::Pid;
use proclab::scenario::tickets::locks::Promise;
use proclab::sys::procfs::stat::of_process;
use proclab::sys::procfs::tree;
use serde_json::Value;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

pub(crate) fn tests() -> Vec<Trial> {
    trials!["run_cli":
        the_sale_without_a_lock_oversells_and_with_one_does_not,
        the_sale_works_with_each_start_method,
        the_json_of_a_run_conforms_to_its_schema,
        each_lesson_proves_what_it_claims,
        the_json_of_a_lesson_conforms_to_the_schema,
        an_invalid_stock_file_causes_one_clear_line,
        the_stock_file_is_read_and_never_changed,
        invalid_numbers_are_refused,
        a_pipe_gets_no_colours,
        a_closed_pipe_is_not_an_error,
        closed_streams_are_not_an_error,
        a_removed_directory_is_not_an_error,
        it_works_without_privileges,
        an_interrupt_in_a_sale_leaves_nothing,
        an_interrupt_in_a_lesson_leaves_nothing,
        a_kill_at_any_moment_leaves_nothing,
        a_run_takes_every_lock_that_exploration_takes,
        a_killed_buyer_is_named_with_its_signal,
        all_lessons_are_titled_with_their_questions,
        a_scenario_that_a_verb_cannot_use_is_refused_by_name,
        a_small_stack_is_enough,
        a_signal_ends_the_wait_for_a_pipe_without_a_reader,
    ]
}

const LESSONS: [&str; 11] = [
    "tree",
    "isolation",
    "join",
    "terminate",
    "daemon",
    "non-daemon",
    "zombie",
    "orphan",
    "states",
    "parallel",
    "blocking",
];

fn the_sale_without_a_lock_oversells_and_with_one_does_not() {
    let lab = Lab::new();
    let both = lab.run(&["run", "tickets", "--no-search", "--seed", "7"]);
    let out = ran(&both, 3);
    assert!(out.contains("oversold") || out.contains("lost-update") || out.contains("torn-read"), "{out}");
    assert!(out.contains("flock: 3 of 3 sold, 0 left: every ticket is accounted for."), "{out}");
    assert!(both.stderr.is_empty(), "{}", text(&both.stderr));
    lab.assert_nothing_is_left();
    let locked = lab.run(&[
        "run",
        "tickets",
        "--lock",
        "flock",
        "--no-search",
        "--buyers",
        "5",
        "--stock",
        "2",
        "--think",
        "1",
    ]);
    assert!(ran(&locked, 0).contains("flock: 2 of 2 sold, 0 left"));
    ran(
        &lab.run(&["run", "tickets", "--lock", "none", "--buyers", "10", "--stock", "1", "--think", "30"]),
        3,
    );
    ran(&lab.run(&["run", "tickets", "--lock", "none", "--buyers", "1", "--think", "0"]), 0);
    ran(
        &lab.run(&[
            "run",
            "tickets",
            "--lock",
            "flock",
            "--no-search",
            "--stock",
            "0",
            "--buyers",
            "2",
            "--think",
            "0",
        ]),
        0,
    );
    lab.assert_nothing_is_left();
}

fn the_sale_works_with_each_start_method() {
    let lab = Lab::new();
    for method in ["spawn", "fork", "forkserver"] {
        for store in ["truncate", "rename"] {
            let args = ["--think", "1", "--lock", "flock", "--no-search", "--store", store];
            let output = lab.run(&[&["run", "tickets", "--start-method", method], &args[..]].concat());
            assert!(ran(&output, 0).contains("3 of 3 sold, 0 left"), "{method} {store}");
        }
    }
    lab.assert_nothing_is_left();
}

fn the_json_of_a_run_conforms_to_its_schema() {
    let lab = Lab::new();
    let output = lab.run(&["run", "tickets", "--format", "json", "--seed", "3", "--think", "5"]);
    let record = json(&output);
    let is_right = record["runs"].as_array().unwrap().iter().all(|run| run["outcome"]["verdict"] == "ok");
    ran(&output, if is_right { 0 } else { 3 });
    let validator = validator(&lab);
    obeys(&validator, &record);
    let mut broken = record.clone();
    broken["processes"][0]["pid"] = Value::from("many");
    assert!(!validator.is_valid(&broken), "the schema rejects a broken record");

    assert_eq!(record["scenario"], "tickets");
    assert_eq!(record["parameters"]["seed"], 3);
    let processes = record["processes"].as_array().unwrap();
    assert_eq!(processes.len(), 20, "ten buyers for each of the two locks");
    for process in processes {
        for key in ["name", "pid", "ppid", "start_method", "daemon", "exit"] {
            assert!(process.get(key).is_some(), "{key}: {process}");
        }
        assert_eq!(process["exit"]["code"], 0);
        assert_eq!(process["ppid"], processes[0]["ppid"]);
    }
    let at: Vec<u64> =
        record["events"].as_array().unwrap().iter().map(|it| it["at_ns"].as_u64().unwrap()).collect();
    assert!(at.len() > 40 && at.iter().all(|ns| *ns > 0));
    let runs = record["runs"].as_array().unwrap();
    assert_eq!(runs.iter().map(|run| run["lock"].as_str().unwrap()).collect::<Vec<_>>(), ["none", "flock"]);
    let outcome = &runs[1]["outcome"];
    let expected =
        serde_json::json!({ "initial": 3, "sold": 3, "left": 0, "torn_reads": 0, "verdict": "ok" });
    assert_eq!(outcome, &expected);
    lab.assert_nothing_is_left();
}

fn each_lesson_proves_what_it_claims() {
    let lab = Lab::new();
    for lesson in LESSONS {
        let output = lab.run(&["run", "life", lesson]);
        let last = ran(&output, 0).trim_end().lines().next_back().unwrap();
        assert!(last.starts_with("proven: "), "{lesson}: {last}");
        assert!(output.stderr.is_empty(), "{lesson}: {}", text(&output.stderr));
        lab.assert_nothing_is_left();
    }
    for (nth, lesson) in LESSONS.into_iter().enumerate() {
        let method = ["fork", "forkserver"][nth % 2];
        let output = lab.run(&["run", "life", lesson, "--start-method", method]);
        assert!(ran(&output, 0).contains("proven: "), "{lesson} {method}");
    }
    lab.assert_nothing_is_left();
}

fn the_json_of_a_lesson_conforms_to_the_schema() {
    let lab = Lab::new();
    let validator = validator(&lab);
    for lesson in ["tree", "zombie", "orphan"] {
        let output = lab.run(&["run", "life", lesson, "--format", "json"]);
        ran(&output, 0);
        let record = json(&output);
        obeys(&validator, &record);
        assert_eq!((&record["scenario"], &record["proof"]["holds"]), (&"life".into(), &true.into()));
    }
}

fn an_invalid_stock_file_causes_one_clear_line() {
    let lab = Lab::new();
    let path = lab.tmp.join("stock.json");
    let try_it = |path: &str| lab.run(&["run", "tickets", "--stock-file", path]);
    let as_text = path.to_str().unwrap();
    assert!(refused(&try_it(as_text), 1).contains("No such file"));
    for content in [
        "",
        "tickets",
        "[3]",
        "{\"count\": -1}",
        "{\"count\": 99999999999999999999}",
        "{\"count\": 1000001}",
        "{\"count\": \"3\"}",
        "{\"Count\": 3}",
        "{\"count\": 3",
    ] {
        fs::write(&path, content).unwrap();
        let output = try_it(as_text);
        let said = refused(&output, 1);
        assert!(said.contains(as_text) && said.contains("\nhint: "), "{content}: {said}");
        assert_eq!(said.lines().count(), 2, "{said}");
    }
    fs::write(&path, vec![b'{'; 10_000_000]).unwrap();
    refused(&try_it(as_text), 1);
    for path in ["/", "/dev/zero", "/dev/null", "/proc/self/mem"] {
        refused(&try_it(path), 1);
    }
    refused(&try_it(""), 2);
    fs::write(&path, "{\"count\": 3}").unwrap();
    fs::set_permissions(&path, PermissionsExt::from_mode(0o000)).unwrap();
    if nix::unistd::geteuid().is_root() {
        assert_eq!(try_it(as_text).status.code(), Some(3));
    } else {
        assert!(refused(&try_it(as_text), 1).contains("Permission denied"));
    }
    lab.assert_nothing_is_left();
}

fn the_stock_file_is_read_and_never_changed() {
    let lab = Lab::new();
    let path = lab.tmp.join("stock.json");
    fs::write(&path, "{\"count\": 2}").unwrap();
    let before = fs::metadata(&path).unwrap().modified().unwrap();
    let args = [
        "run",
        "tickets",
        "--lock",
        "flock",
        "--no-search",
        "--think",
        "0",
        "--stock-file",
        path.to_str().unwrap(),
    ];
    assert!(ran(&lab.run(&args), 0).contains("2 of 2 sold"));
    assert_eq!(fs::read_to_string(&path).unwrap(), "{\"count\": 2}");
    assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), before);
}

fn invalid_numbers_are_refused() {
    let lab = Lab::new();
    for args in [
        ["--buyers", "0"],
        ["--buyers", "many"],
        ["--buyers", "-1"],
        ["--buyers", "1001"],
        ["--buyers", "1e3"],
        ["--stock", "-1"],
        ["--stock", "99999999999999999999"],
        ["--think", "-1"],
        ["--think", "60001"],
        ["--seed", "x"],
        ["--lock", "paper"],
        ["--start-method", "vfork"],
        ["--format", "xml"],
    ] {
        let output = lab.run(&["run", "tickets", args[0], args[1]]);
        assert!(refused(&output, 2).contains(args[1]), "{args:?}");
    }
    refused(&lab.run(&["run", "life", "eternal"]), 2);
    refused(&lab.run(&["schema", "nothing"]), 2);
    lab.assert_nothing_is_left();
}

fn a_pipe_gets_no_colours() {
    let lab = Lab::new();
    let args = ["run", "tickets", "--think", "0", "--buyers", "3"];
    for no_color in [None, Some("1")] {
        let mut command = lab.command(&args);
        if let Some(value) = no_color {
            command.env("NO_COLOR", value);
        }
        let output = finish(command.spawn().unwrap());
        assert!(!output.stdout.contains(&0x1b), "{}", text(&output.stdout));
        let mut command = lab.command(&["run", "tickets", "--stock-file", "/"]);
        if let Some(value) = no_color {
            command.env("NO_COLOR", value);
        }
        assert!(!finish(command.spawn().unwrap()).stderr.contains(&0x1b));
    }
}

fn a_closed_pipe_is_not_an_error() {
    let lab = Lab::new();
    for args in [&["run", "tickets"][..], &["run", "life", "tree"], &["run", "tickets", "--format", "json"]] {
        let mut child = lab.command(args).spawn().unwrap();
        let mut first = [0; 10];
        child.stdout.take().unwrap().read_exact(&mut first).unwrap();
        let output = finish(child);
        assert!(output.stderr.is_empty(), "{args:?}: {}", text(&output.stderr));
        assert!(matches!(output.status.code(), Some(0 | 3)), "{args:?}: {}", output.status);
        lab.assert_nothing_is_left();
    }
}

fn closed_streams_are_not_an_error() {
    let lab = Lab::new();
    let sale = "\"$PROGRAM\" run tickets --lock flock --no-search --think 0 --buyers 3";
    for method in ["spawn", "fork", "forkserver"] {
        for closed in ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"] {
            let output = shell(&lab, &format!("{sale} --start-method {method} {closed}"));
            ran(&output, 0);
        }
        // The disposition of SIGCHLD is inherited.
        ran(&shell(&lab, &format!("trap '' CHLD; exec {sale} --start-method {method}")), 0);
    }
    lab.assert_nothing_is_left();
}

fn a_removed_directory_is_not_an_error() {
    let lab = Lab::new();
    let script = "mkdir gone && cd gone && rmdir ../gone && exec \"$PROGRAM\" run tickets --lock flock --no-search --think 0";
    let output = shell(&lab, &format!("cd \"$TMPDIR\" && {script}"));
    ran(&output, 0);
}

fn it_works_without_privileges() {
    if !nix::unistd::geteuid().is_root() {
        // Without root, every other test shows this.
        return;
    }
    let lab = Lab::new();
    let program = lab.tmp.join("program");
    fs::copy(PROGRAM, &program).unwrap();
    fs::set_permissions(&lab.tmp, PermissionsExt::from_mode(0o777)).unwrap();
    for args in [
        &["tickets", "--lock", "flock", "--no-search", "--think", "1"][..],
        &["life", "states"],
        &["life", "orphan"],
    ] {
        let mut command = Command::new(&program);
        command.arg("run").args(args).uid(65534).gid(65534).current_dir("/");
        command.envs(lab.command(&[]).get_envs().filter_map(|(key, value)| Some((key, value?))));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        ran(&finish(command.spawn().unwrap()), 0);
    }
    lab.assert_nothing_is_left();
}

fn an_interrupt_in_a_sale_leaves_nothing() {
    let lab = Lab::new();
    for (nth, method) in ["spawn", "fork", "forkserver"].into_iter().cycle().take(9).enumerate() {
        let args = ["run", "tickets", "--think", "300", "--start-method", method];
        let output = interrupted(&lab, &args, 2 + 3 * nth);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(130), "{method} {nth}: {said}");
        assert!(said.starts_with("error: ") && said.lines().count() == 1, "{said}");
        lab.assert_nothing_is_left();
    }
}

fn an_interrupt_in_a_lesson_leaves_nothing() {
    const ATTEMPTS: usize = 20;
    let lab = Lab::new();
    for (nth, lesson) in LESSONS.into_iter().enumerate() {
        let method = ["spawn", "fork", "forkserver"][nth % 3];
        let is_proven = (0..ATTEMPTS).any(|attempt| {
            let output =
                interrupted(&lab, &["run", "life", lesson, "--start-method", method], 1 + attempt % 2);
            lab.assert_nothing_is_left();
            let is_over = output.status.code() == Some(0);
            // A short lesson may end before the interrupt, which proves nothing.
            assert!(is_over || output.status.code() == Some(130), "{lesson}: {}", text(&output.stderr));
            !is_over
        });
        assert!(is_proven, "{lesson}: ended before each of {ATTEMPTS} interrupts");
    }
}

fn a_kill_at_any_moment_leaves_nothing() {
    let lab = Lab::new();
    for nth in 0..30_u32 {
        let method = ["spawn", "fork", "forkserver"][nth as usize % 3];
        let store = ["truncate", "rename"][nth as usize % 2];
        let args = ["run", "tickets", "--think", "5", "--start-method", method, "--store", store];
        let mut child = lab.command(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let held = hold(id_of(&child));
        // Any moment from before `main` to the end of the first sale.
        std::thread::sleep(Duration::from_millis(u64::from(nth * 37 % 120)));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(ends(held));
        lab.assert_nothing_is_left();
    }
}

fn a_run_takes_every_lock_that_exploration_takes() {
    let lab = Lab::new();
    for recipe in proclab::scenario::tickets::locks::LOCKS {
        let args = ["run", "tickets", "--no-search", "--buyers", "4", "--think", "5", "--format", "json"];
        let output = lab.run(&[&args[..], &["--lock", recipe.name]].concat());
        let record = json(&output);
        let verdict = record["runs"][0]["outcome"]["verdict"].as_str().unwrap();
        match recipe.promise {
            Promise::Right | Promise::RightUntilKilled => assert_eq!(verdict, "ok", "{}", recipe.name),
            Promise::Deadlocks => {
                assert_eq!(verdict, "deadlock");
                let why = record["runs"][0]["why"]["text"].as_str().unwrap();
                assert!(why.contains("waits forever for itself"), "{why}");
            }
            Promise::Broken => assert_ne!(verdict, "deadlock", "{}", recipe.name),
        }
    }
    lab.assert_nothing_is_left();
}

fn a_killed_buyer_is_named_with_its_signal() {
    let lab = Lab::new();
    for (signal, name) in [(Signal::SIGKILL, "SIGKILL"), (Signal::SIGUSR1, "SIGUSR1")] {
        let args = ["run", "tickets", "--lock", "flock", "--buyers", "2", "--think", "60000"];
        let mut child = lab.command(&args).spawn().unwrap();
        let mut out = child.stdout.take().unwrap();
        let mut said = String::new();
        // Its first report: it has started, and thinks.
        while !said.contains("acquires the lock") {
            let mut byte = [0];
            out.read_exact(&mut byte).unwrap();
            said.push(char::from(byte[0]));
        }
        let line = said.lines().find(|line| line.contains("acquires the lock")).unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        let (buyer, pid) = (words[1].to_owned(), words[2].parse::<Pid>().unwrap());
        let others = tree::children_by_parent(id_of(&child)).unwrap();
        kill(pid, signal);
        // The other one thinks for a minute.
        let is_buyer = |pid: &Pid| of_process(*pid).is_some_and(|stat| stat.name.starts_with("user"));
        for other in others.into_iter().filter(|other| *other != pid).filter(is_buyer) {
            kill(other, Signal::SIGKILL);
        }
        let rest = std::thread::spawn(move || {
            let mut rest = String::new();
            out.read_to_string(&mut rest).unwrap();
            rest
        });
        let output = finish(child);
        let told = rest.join().unwrap();
        assert_eq!(output.status.code(), Some(3), "{told}");
        let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(told.contains(&format!("{buyer} (PID {pid}) was ended by {name}")), "{told}");
    }
    lab.assert_nothing_is_left();
}

fn all_lessons_are_titled_with_their_questions() {
    let lab = Lab::new();
    let output = lab.run(&["run", "life", "all"]);
    let out = ran(&output, 0);
    for (nth, lesson) in LESSONS.into_iter().enumerate() {
        let title = format!("{}. {lesson}: ", nth + 1);
        let (_, after) = out.split_once(&title).unwrap_or_else(|| panic!("{title}: {out}"));
        assert!(after.lines().nth(1).is_some_and(|question| question.ends_with('?')), "{after}");
    }
    assert!(out.ends_with("\n11 of 11 proven\n"), "the last line sums up all lessons");
    let listed = lab.run(&["list"]);
    for lesson in LESSONS {
        assert!(ran(&listed, 0).lines().any(|line| line.trim_start().starts_with(lesson)), "{lesson}");
    }
}

fn a_scenario_that_a_verb_cannot_use_is_refused_by_name() {
    let lab = Lab::new();
    for (args, said) in [
        (["explore", "eval"], "`eval` cannot be explored: "),
        (["trials", "life"], "`life` cannot be run in trials: "),
        (["explore", "nothing"], "there is no scenario `nothing`"),
    ] {
        assert!(refused(&lab.run(&args), 2).contains(said), "{args:?}");
    }
    let output = lab.run(&["explore", "pipeline", "--lock", "none"]);
    assert!(refused(&output, 2).contains("--lock is an option of tickets"));
    ran(&lab.run(&["trials", "pipeline", "-n", "3"]), 0);
    for verb in ["run", "trials", "explore"] {
        let help = lab.run(&[verb, "--help"]);
        let offers = |name: &str| ran(&help, 0).lines().any(|line| line.trim_start().starts_with(name));
        assert!(offers("tickets ") && offers("pipeline "), "{verb}");
        assert_eq!(offers("eval "), verb == "run");
    }
}

fn a_small_stack_is_enough() {
    let lab = Lab::new();
    let deep = format!("{}1{}", "(".repeat(490), ")".repeat(490));
    for limit in ["-S -s 64", "-s 64"] {
        if limit == "-s 64" && !nix::unistd::geteuid().is_root() {
            // Children inherit a limit that cannot be raised.
            continue;
        }
        let output = shell(&lab, &format!("ulimit {limit}; \"$PROGRAM\" run eval '{deep}'"));
        assert!(ran(&output, 0).trim_end().ends_with("\n1"), "{limit}");
    }
    lab.assert_nothing_is_left();
}

fn a_signal_ends_the_wait_for_a_pipe_without_a_reader() {
    let lab = Lab::new();
    let pipe = lab.tmp.join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let path = pipe.to_str().unwrap();
    for (verb, option) in [("trials", "--csv"), ("trials", "--html"), ("explore", "--save")] {
        for signal in [Signal::SIGINT, Signal::SIGTERM] {
            let program = lab.command(&[verb, "tickets", option, path]).spawn().unwrap();
            let pid = id_of(&program);
            until("it waits for a reader", || listens(pid) && state_of(pid) == 'S');
            kill(pid, signal);
            let output = finish(program);
            assert_eq!(output.status.code(), Some(128 + signal as i32), "{}", text(&output.stderr));
        }
    }
    // With a reader it is written completely.
    let args = ["trials", "tickets", "-n", "3", "--csv", path];
    let program = lab.command(&args).spawn().unwrap();
    let table = fs::read_to_string(&pipe).unwrap();
    assert!(matches!(finish(program).status.code(), Some(0 | 3)));
    assert_eq!(table.lines().count(), 4, "{table}");
    lab.assert_nothing_is_left();
}
