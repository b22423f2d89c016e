//! What a person types and sees who explores, tries or replays a program.

use crate::common::{kill, quietly, trials, until};
use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use proclab::sys::pid::Pid;
use proclab::sys::procfs::tree::children_by_parent;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

pub(crate) fn tests() -> Vec<Trial> {
    trials!["traced_verbs":
        trials_of_a_program_are_counted_by_outcome_in_copies_of_the_folder,
        a_trial_leaves_no_process_and_tells_of_those_it_had_to_end,
        a_check_finds_the_status_and_the_output_and_decides,
        an_expected_exit_and_equal_outcomes_decide,
        what_is_called_noise_makes_no_outcome_differ,
        without_a_wish_a_crash_and_a_process_that_nobody_waits_for_are_findings,
        a_saved_schedule_replays_and_says_why_where_it_cannot,
        a_person_is_the_scheduler_of_a_program_and_takes_a_step_back,
        schedules_by_chance_are_as_many_as_asked_for_and_prove_nothing,
        every_interleaving_of_a_command_is_asserted_in_a_rust_test,
        each_view_obeys_its_schema,
        text_fits_the_window_and_commands_no_terminal,
        a_search_of_few_executions_ends_with_some_at_random,
        an_interrupt_ends_a_search_with_what_it_knows,
        what_is_written_elsewhere_is_named_or_refused,
        a_folder_that_should_not_be_copied_is_refused_with_a_hint,
        a_program_sees_as_many_processors_as_in_a_free_run,
    ]
}

/// A lost update, as a shell script has it.
const INCREMENTS: &str = "inc() { read n < n; echo $((n + 1)) > n; }; inc & inc & wait";
/// Two lines, in either order.
const LINES: &str = "echo a >> log & echo b >> log & wait";

/// A folder of the test's own, removed in the end.
pub(crate) struct Place(PathBuf);

impl Place {
    pub(crate) fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let path = std::env::temp_dir().join(format!("proclab-it-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        for (file, content) in files {
            std::fs::write(path.join(file), content).unwrap();
        }
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_proclab"));
        command
            .args(words)
            .current_dir(&self.0)
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            // Cargo's: where its folder is a temporary one, the loader's looks into it would be named as uncontrolled.
            .env_remove("LD_LIBRARY_PATH")
            .env("COLUMNS", "80");
        command
    }

    pub(crate) fn run(&self, words: &[&str]) -> Output {
        self.command(words).stdin(Stdio::null()).output().unwrap()
    }

    /// The JSON that a command prints, and its exit code.
    pub(crate) fn json(&self, words: &[&str]) -> (Value, i32) {
        let (verb, rest) = words.split_first().unwrap();
        let output = self.run(&[&[*verb, "--format", "json"], rest].concat());
        let view = serde_json::from_slice(&output.stdout);
        let view =
            view.unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
        (view, output.status.code().unwrap())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn text(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

fn outcomes(view: &Value) -> &Vec<Value> {
    view["outcomes"].as_array().unwrap()
}

fn verdicts(view: &Value) -> Vec<&str> {
    outcomes(view).iter().map(|outcome| outcome["verdict"].as_str().unwrap()).collect()
}

fn trials_of_a_program_are_counted_by_outcome_in_copies_of_the_folder() {
    let place = Place::new("trials", &[("n", "1\n")]);
    let (view, code) = place.json(&["trials", "-n", "8", "--", "sh", "-c", "echo x >> n; exit 3"]);
    assert_eq!((code, view["trials"].as_u64(), outcomes(&view).len()), (0, Some(8), 1));
    let outcome = &outcomes(&view)[0];
    // Each run began with the folder as it was.
    assert_eq!(outcome["files"]["n"]["text"], "1\nx\n");
    assert_eq!((outcome["exit"]["root"].as_i64(), outcome["count"].as_u64()), (Some(3), Some(8)));
    assert!(outcome["low"].as_f64().unwrap() > 0.6 && outcome["high"] == 1.0, "{outcome}");
    assert_eq!(std::fs::read(place.path().join("n")).unwrap(), b"1\n", "the user's folder is only read");
    let (view, _) = place.json(&["trials", "-n", "12", "--", "sh", "-c", "echo $$ > pid"]);
    assert_eq!(outcomes(&view).iter().map(|it| it["count"].as_u64().unwrap()).sum::<u64>(), 12);
    assert!(outcomes(&view).len() > 1, "{view}");
}

fn a_trial_leaves_no_process_and_tells_of_those_it_had_to_end() {
    let place = Place::new("left", &[]);
    let long = "86399.5";
    let script = format!("sleep {long} & setsid sleep {long} & exit 0");
    let (view, code) = place.json(&["trials", "-n", "1", "--", "sh", "-c", &script]);
    assert_eq!((verdicts(&view), code), (vec!["outlived"], 3));
    let (view, code) = place.json(&["trials", "-n", "1", "--timeout", "200ms", "--", "sleep", long]);
    assert_eq!((verdicts(&view), code), (vec!["cut-short"], 3));
    let lives = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok).any(|entry| {
        std::fs::read(entry.path().join("cmdline"))
            .is_ok_and(|line| line == format!("sleep\0{long}\0").as_bytes())
    });
    assert!(!lives, "a process of a run is left");
}

fn a_check_finds_the_status_and_the_output_and_decides() {
    let place = Place::new("check", &[("n", "1\n")]);
    let check = r#"[ "$(cat n)" = 3 ] || { echo lost one; exit 1; }"#;
    let options = ["explore", "--budget", "80", "--check", check, "--", "sh", "-c", INCREMENTS];
    let (view, code) = place.json(&options);
    assert_eq!(code, 3);
    let lost: Vec<_> = outcomes(&view).iter().filter(|it| it["verdict"] == "check-failed").collect();
    assert!(lost.iter().any(|it| it["files"]["n"]["text"] == "2\n"), "{view}");
    assert!(lost.iter().all(|it| it["check"] == "lost one\n"), "{view}");
    let right: Vec<_> = outcomes(&view).iter().filter(|it| it["verdict"] == "ok").collect();
    assert!(right.len() == 1 && right[0]["files"]["n"]["text"] == "3\n", "{view}");
    assert_eq!(outcomes(&view).last().unwrap()["verdict"], "ok", "what is wrong comes first");
    // What the check itself leaves is no part of an outcome.
    let check = r#"[ "$STATUS" = 7 ] && [ "$STDOUT" = "one
two" ] && [ "$STDERR" = oh ] && rm n"#;
    let script = "echo one; echo two; echo oh >&2; exit 7";
    for verb in ["explore", "trials"] {
        let (view, code) = place.json(&[verb, "--check", check, "--", "sh", "-c", script]);
        assert_eq!((verdicts(&view), code), (vec!["ok"], 0), "{view}");
        assert_eq!(outcomes(&view)[0]["files"]["n"]["text"], "1\n");
    }
}

fn an_expected_exit_and_equal_outcomes_decide() {
    let place = Place::new("expect", &[]);
    for (option, code) in [("0", 3), ("4", 0)] {
        let (view, found) = place.json(&["explore", "--expect-exit", option, "--", "sh", "-c", "exit 4"]);
        assert_eq!(found, code, "{view}");
    }
    let same = ["explore", "--expect-same", "--budget", "60", "--", "sh", "-c", LINES];
    let (view, code) = place.json(&same);
    assert_eq!((verdicts(&view), code), (vec!["check-failed", "ok"], 3));
    let other = ["explore", "--no-deadlock", "--budget", "60", "--", "sh", "-c", LINES];
    assert_eq!(place.json(&other).1, 0);
    let stuck = ["explore", "--no-deadlock", "--", "sh", "-c", "mkfifo p; cat p"];
    let (view, code) = place.json(&stuck);
    assert_eq!((verdicts(&view), code), (vec!["deadlock"], 3));
    assert_eq!(view["deadlocks"], 1);
}

fn what_is_called_noise_makes_no_outcome_differ() {
    let place = Place::new("noise", &[]);
    let script = "mkdir log; echo a >> log/x & echo b >> log/x & wait; cat log/x";
    let explore = |options: &[&str]| {
        let begin = ["explore", "--budget", "60"];
        place.json(&[&begin, options, &["--", "sh", "-c", script]].concat()).0
    };
    assert_eq!(outcomes(&explore(&[])).len(), 2);
    assert_eq!(outcomes(&explore(&["--ignore", "log/*"])).len(), 2, "the output still differs");
    assert_eq!(outcomes(&explore(&["--same-output"])).len(), 2, "the files still differ");
    let view = explore(&["--ignore", "log/*", "--same-output"]);
    assert_eq!(outcomes(&view).len(), 1);
    assert!(outcomes(&view)[0]["stdout"].to_string().contains('a'), "noise is kept: {view}");
    let refused = place.run(&["explore", "--ignore", "a[", "--", "true"]);
    assert_eq!(refused.status.code(), Some(2));
}

fn without_a_wish_a_crash_and_a_process_that_nobody_waits_for_are_findings() {
    let place = Place::new("findings", &[]);
    for (script, verdict, code) in [
        ("sh -c 'kill -SEGV $$'; true", "crashed", 3),
        ("sleep 1 & exit 0", "outlived", 3),
        ("sleep 1 & wait; exit 5", "ok", 0),
        ("yes | head -n 1", "ok", 0),
    ] {
        let (view, found) = place.json(&["explore", "--budget", "30", "--", "sh", "-c", script]);
        assert_eq!((verdicts(&view)[0], found), (verdict, code), "{script}: {view}");
    }
}

fn a_saved_schedule_replays_and_says_why_where_it_cannot() {
    let place = Place::new("saved", &[("n", "1\n")]);
    let copy = Place::new("saved-file", &[]);
    let file = copy.path().join("worst.json");
    let file = file.to_str().unwrap();
    let script = ["sh", "-c", INCREMENTS];
    let check = ["--check", "grep -q 3 n"];
    let explore = [&["explore", "--budget", "60", "--save", file][..], &check, &["--"], &script].concat();
    let (view, _) = place.json(&explore);
    let worst = &outcomes(&view)[0];
    // By the file alone, also from another folder; and by the token with the command.
    let (again, code) = copy.json(&["replay", file, check[0], check[1]]);
    assert_eq!((&again["files"], &again["witness"], code), (&worst["files"], &worst["witness"], 3));
    let token = worst["token"].as_str().unwrap();
    let (again, _) = place.json(&[&["replay", token][..], &check, &["--"], &script].concat());
    assert_eq!((&again["files"], &again["witness"]), (&worst["files"], &worst["witness"]));
    let other = place.run(&["replay", token, "--", "sh", "-c", "true"]);
    assert_eq!(other.status.code(), Some(2), "{}", text(&other).1);
    // The folder has changed: the step that reads it, what it read then and now, and the cause.
    std::fs::write(place.path().join("n"), "8\n").unwrap();
    let departed = place.run(&["replay", file]);
    let (_, told) = text(&departed);
    assert_eq!(departed.status.code(), Some(1), "{told}");
    for part in ["went another way at step", "\"1\"", "\"8\"", "the files in the folder have changed"] {
        assert!(told.contains(part), "{part}: {told}");
    }
}

fn a_person_is_the_scheduler_of_a_program_and_takes_a_step_back() {
    let place = Place::new("step", &[("n", "1\n")]);
    let script = ["--", "sh", "-c", LINES];
    let explore = [&["explore", "--budget", "30"][..], &script].concat();
    let (view, _) = place.json(&explore);
    let (first, other) = (&outcomes(&view)[0], &outcomes(&view)[1]);
    let stepped = |outcome: &Value, keys: String| {
        let token = outcome["token"].as_str().unwrap();
        let mut command = place.command(&[&["replay", token, "--step"][..], &script].concat());
        let (reader, mut writer) = std::io::pipe().unwrap();
        std::io::Write::write_all(&mut writer, keys.as_bytes()).unwrap();
        drop(writer);
        text(&command.stdin(reader).output().unwrap())
    };
    let length = first["witness"].as_array().unwrap().len();
    // A step forth, one back, and then all as the schedule says.
    let (shown, told) = stepped(first, format!("\n-\n{}", "\n".repeat(length)));
    assert!(shown.contains("ok\n") && told.contains("undone: step 1"), "{shown}{told}");
    let line = |outcome: &Value| {
        outcome["files"]["log"]["text"].as_str().unwrap().lines().next().unwrap().to_owned()
    };
    assert!(shown.contains(first["token"].as_str().unwrap()), "{shown}{told}");
    assert_ne!(line(first), line(other));
    // The input's end calls the processes back.
    let (shown, told) = stepped(other, "\n".to_owned());
    assert!(shown.starts_with("stopped") && told.contains(" at "), "{shown}{told}");
}

fn schedules_by_chance_are_as_many_as_asked_for_and_prove_nothing() {
    let place = Place::new("chance", &[]);
    for strategy in ["random", "uniform", "pct"] {
        let words = ["explore", "--strategy", strategy, "--budget", "25", "--", "sh", "-c", LINES];
        let (view, _) = place.json(&words);
        assert_eq!(
            (&view["executions"], &view["complete"]),
            (&25.into(), &false.into()),
            "{strategy}: {view}"
        );
        assert!(!view["bounded_by"].as_array().unwrap().is_empty());
    }
    let refused = place.run(&["explore", "--strategy", "pct", "--naive", "--", "true"]);
    assert_eq!(refused.status.code(), Some(2));
}

fn every_interleaving_of_a_command_is_asserted_in_a_rust_test() {
    use proclab::explore::traced::{Command, Kind, Outcome, assert_every_interleaving};
    let place = Place::new("assert", &[]);
    let command = Command::new(["sh", "-c", LINES]).directory(place.path());
    let lines = |outcome: &Outcome| match &outcome.files[Path::new("log")].kind {
        Kind::File(content) => String::from_utf8_lossy(content).into_owned(),
        other => format!("{other:?}"),
    };
    let both = |outcome: &Outcome| match lines(outcome).len() {
        4 => Ok(()),
        length => Err(format!("{length} bytes")),
    };
    let findings = assert_every_interleaving(&command, both).unwrap();
    assert_eq!((findings.ended, findings.outcomes.len()), (true, 2));
    let ordered = |outcome: &Outcome| match lines(outcome).as_str() {
        "a\nb\n" => Ok(()),
        other => Err(format!("b came first: {other:?}")),
    };
    let attempt = || std::panic::catch_unwind(|| assert_every_interleaving(&command, ordered));
    let panicked = quietly(attempt).unwrap_err();
    let message = panicked.downcast_ref::<String>().unwrap();
    assert!(message.contains("b came first") && message.contains("again: proclab replay 'p~"), "{message}");
}

fn each_view_obeys_its_schema() {
    let place = Place::new("schema", &[("n", "1\n")]);
    let script = ["--", "sh", "-c", LINES];
    let explore = [&["explore", "--budget", "30"][..], &script].concat();
    let (view, _) = place.json(&explore);
    let token = outcomes(&view)[0]["token"].as_str().unwrap();
    for words in [
        explore.clone(),
        [&["trials", "-n", "2"][..], &script].concat(),
        [&["replay", token][..], &script].concat(),
    ] {
        let schema = place.run(&["schema", words[0]]);
        let schema: Value = serde_json::from_slice(&schema.stdout).unwrap();
        let (view, _) = place.json(&words);
        let validator = jsonschema::validator_for(&schema).unwrap();
        let errors: Vec<_> = validator.iter_errors(&view).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{}: {errors:?}", words[0]);
    }
    let fields = ["complete", "uncontrolled", "executions", "classes", "schedules", "deadlocks", "outcomes"];
    assert!(fields.iter().all(|field| !view[field].is_null() || *field == "schedules"), "{view}");
    let fields =
        ["verdict", "exit", "stdout", "stderr", "files", "deadlock", "executions", "token", "witness"];
    assert!(fields.iter().all(|field| !outcomes(&view)[0][field].is_null()), "{view}");
    let places: Vec<_> = outcomes(&view)[0]["exit"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(places, ["root", "root.1", "root.2"]);
}

fn text_fits_the_window_and_commands_no_terminal() {
    let place = Place::new("window", &[]);
    // A name that would colour the terminal, if it came to it as it is.
    let script = r#"n=$(printf 'a\033[31mb'); echo "$n" >> "$n" & echo "$n" & wait"#;
    for columns in ["40", "80"] {
        let output = place
            .command(&["explore", "--budget", "10", "--", "sh", "-c", script])
            .env("COLUMNS", columns)
            .output()
            .unwrap();
        let (shown, _) = text(&output);
        assert!(!shown.contains('\u{1b}'), "{shown}");
        let is_long = |line: &&str| line.chars().count() > columns.parse().unwrap();
        // A command to paste, and a reason, are whole lines.
        let is_table = |line: &&str| line.starts_with(' ') && !line.starts_with("  ");
        let long: Vec<_> = shown.lines().filter(is_table).filter(is_long).collect();
        assert!(long.is_empty(), "{columns}: {long:?}");
        assert!(shown.contains("again: proclab replay "), "{shown}");
    }
}

/// Three customers at a counter in the shell, without a lock.
const COUNTER: &str = r#"
buy() {
    read -r left < stock
    if [ "${left:-0}" -gt 0 ]; then echo $((left - 1)) > stock; echo "$1 has a ticket"; fi
}
for customer in A B C; do buy $customer & done
wait
"#;

fn a_search_of_few_executions_ends_with_some_at_random() {
    let place = Place::new("few", &[("stock", "1\n")]);
    let (view, _) = place.json(&["explore", "--budget", "72", "--", "sh", "-c", COUNTER]);
    let count = |key: &str| view[key].as_u64().unwrap();
    assert_eq!(count("executions") + count("given_up"), 72, "{view}");
    assert!(count("sampled") >= 18, "{view}");
    let sold = |outcome: &Value| outcome["stdout"].to_string().matches("has a ticket").count();
    assert!(outcomes(&view).iter().any(|outcome| sold(outcome) > 1), "{view}");
}

fn an_interrupt_ends_a_search_with_what_it_knows() {
    let place = Place::new("interrupt", &[("n", "1\n")]);
    let mut command =
        place.command(&["explore", "--format", "json", "--naive", "--", "sh", "-c", INCREMENTS]);
    let explorer = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let pid: Pid = explorer.id().to_string().parse().unwrap();
    // The engine is a child; it works once a program runs below it.
    let below = |pid: Pid| children_by_parent(pid).unwrap_or_default();
    until("the engine runs the program", || below(pid).into_iter().any(|engine| !below(engine).is_empty()));
    kill(pid, Signal::SIGINT);
    let output = explorer.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", text(&output).1);
    let view: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&view["complete"], &view["ended"]), (&Value::Bool(false), &Value::Bool(false)));
    assert!(view["executions"].as_u64().unwrap() > 0, "{view}");
}

fn what_is_written_elsewhere_is_named_or_refused() {
    let place = Place::new("elsewhere", &[]);
    let other = Place::new("elsewhere-other", &[]);
    let file = other.path().join("file");
    let script = format!("echo 1 > {}", file.display());
    let (view, code) = place.json(&["explore", "--strict", "--", "sh", "-c", &script]);
    assert_ne!(outcomes(&view)[0]["exit"]["root"], 0, "{view}");
    assert_eq!((file.exists(), code), (false, 0));
    let (view, _) = place.json(&["explore", "--", "sh", "-c", &script]);
    let named = view["uncontrolled"].to_string();
    assert!(named.contains(file.to_str().unwrap()) && view["complete"] == false, "{view}");
}

fn a_folder_that_should_not_be_copied_is_refused_with_a_hint() {
    let place = Place::new("large", &[]);
    std::fs::File::create(place.path().join("large")).unwrap().set_len(1 << 30).unwrap();
    for verb in ["explore", "trials"] {
        let output = place.run(&[verb, "--", "true"]);
        let (_, told) = text(&output);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains("hint: ") && told.contains("--dir"), "{told}");
        let home = place.command(&[verb, "--", "true"]).env("HOME", place.path()).output().unwrap();
        assert_eq!(home.status.code(), Some(2), "{}", text(&home).1);
        assert!(text(&home).1.contains("your home"), "{}", text(&home).1);
        let nothing = place.run(&[verb, "--dir", "empty", "--", "no-such-program"]);
        let (_, told) = text(&nothing);
        assert_eq!(nothing.status.code(), Some(1), "{told}");
        assert!(told.contains("no-such-program") && told.contains("hint: "), "{told}");
    }
}

fn a_program_sees_as_many_processors_as_in_a_free_run() {
    let place = Place::new("nproc", &[]);
    let (free, _) = place.json(&["trials", "-n", "1", "--dir", "empty", "--", "nproc"]);
    let (explored, code) = place.json(&["explore", "--dir", "empty", "--", "nproc"]);
    let printed = |view: &Value| outcomes(view)[0]["stdout"]["root"].as_str().unwrap().to_owned();
    assert_eq!((code, printed(&explored)), (0, printed(&free)));
}
