//! Submissions that attack the grader, in every language.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;

use super::{CARD, grade, hand_in, json, lab, part, place, said};
use crate::common::trials;

pub(crate) fn tests() -> Vec<Trial> {
    trials!["labs_hostile":
        hostile_programs_are_ended_told_and_leave_nothing,
        programs_that_attack_their_grader_are_ended_told_and_leave_nothing,
    ]
}

/// What to hand in: a name, a file, its text, and the limit that ends it, or nothing where another reason is told. `MARK`
/// stands for a word by which its processes are known, `OUTSIDE` for a file that is not its own.
const SUBMISSIONS: [(&str, &str, &str, &str); 27] = [
    (
        "small-files",
        "add.py",
        "i = 0\nwhile True:\n    open(f'f{i}', 'w').write('x' * 200)\n    i += 1\n",
        "",
    ),
    (
        "deep-folders",
        "add.py",
        "import os\nwhile True:\n    os.mkdir('d' * 200); os.chdir('d' * 200)\n",
        "time",
    ),
    (
        "touched-memory",
        "add.c",
        "#include <sys/mman.h>\n#include <string.h>\nint main(void) { for (;;) memset(mmap(0, 1 << 26, 3, 0x22, -1, 0), 1, 1 << 26); }\n",
        "memory",
    ),
    (
        "reserved-memory",
        "add.c",
        "#include <sys/mman.h>\n#include <unistd.h>\nint main(void) { mmap(0, 1L << 44, 3, 0x4022, -1, 0); pause(); }\n",
        "time",
    ),
    ("shared-memory", "add.sh", "while :; do cat /bin/sh >> /dev/shm/MARK || exit 9; done\n", ""),
    ("daemon", "add.sh", "setsid sh -c ': MARK; echo daemon; sleep 600' &\nexit 0\n", ""),
    (
        "daemons",
        "add.py",
        "import os, time\nwhile True:\n    if os.fork() == 0:\n        os.setsid()\n        if os.fork(): os._exit(0)\n        time.sleep(600)\n",
        "processes",
    ),
    ("stopped", "add.sh", ": MARK; kill -STOP $$\n", "time"),
    (
        "blocked",
        "add.c",
        "#include <signal.h>\nint main(void) { sigset_t s; sigfillset(&s); sigprocmask(SIG_BLOCK, &s, 0); for (;;); }\n",
        "time",
    ),
    (
        "own-answers",
        "add.sh",
        "echo 'sum = 4' > answers.toml; echo x > ../answers.toml; echo x > OUTSIDE; exit 7\n",
        "",
    ),
    ("own-folder", "add.sh", "d=$PWD; cd /; rm -rf \"$d\"; exit 7\n", ""),
    ("link", "add.sh", "rm n; ln -s OUTSIDE n; echo x > n; exit 7\n", ""),
    ("pipe-for-file", "add.sh", "rm n; mkfifo n\n", ""),
    ("zero-for-file", "add.sh", "rm n; ln -s /dev/zero n\n", ""),
    ("random-for-file", "add.sh", "rm n; ln -s /dev/urandom n\n", ""),
    ("escapes", "add.sh", "printf '\\033[2J\\033]0;title\\007\\377\\376\\200' >&2; exit 7\n", ""),
    ("terminal", "add.py", "import os\nos.open('/dev/tty', os.O_RDWR)\n", ""),
    (
        "to-everyone",
        "add.c",
        "#include <signal.h>\n#include <unistd.h>\nint main(void) { kill(getppid(), SIGKILL); kill(-1, SIGSTOP); kill(-1, SIGKILL); kill(0, SIGKILL); pause(); }\n",
        "",
    ),
    ("to-its-group", "add.py", "import os\nos.killpg(0, 9)\n", ""),
    (
        "threads",
        "add.rs",
        "fn main() { loop { std::thread::spawn(|| loop { std::thread::park() }); } }\n",
        "processes",
    ),
    ("processes", "add.c", "#include <unistd.h>\nint main(void) { for (;;) fork(); }\n", "processes"),
    // The kernel may give each session as much of a processor as it gives the grader.
    (
        "sessions",
        "add.c",
        "#include <unistd.h>\nint main(void) { for (;;) if (fork() == 0) setsid(); }\n",
        "processes",
    ),
    (
        "programs",
        "add.c",
        "#include <unistd.h>\nint main(int c, char **v) { for (;;) if (vfork() == 0) { execl(\"/proc/self/exe\", v[0], (char *)0); _exit(1); } }\n",
        "processes",
    ),
    ("unwaited", "add.sh", "f() { f | f & }; f; wait\n", "processes"),
    ("compiler", "add.c", "#include \"/dev/zero\"\nint main(void) {}\n", "memory"),
    // Right only for root's own programs.
    (
        "privileges",
        "add.sh",
        "grep -q 'CapEff:.0*$' /proc/self/status && grep -q 'CapBnd:.0*$' /proc/self/status && exit 7; echo 3 > n\n",
        "",
    ),
    (
        "descriptors",
        "add.py",
        "import ctypes, os\nctypes.CDLL(None).shmget(KEY, 4096, 0o1666)\nup = f'/proc/{os.getppid()}/fd'\ntry:\n    for fd in os.listdir(up):\n        try: os.write(os.open(f'{up}/{fd}', os.O_WRONLY | os.O_NONBLOCK), b'junk' * 1000)\n        except OSError: pass\nexcept OSError: raise SystemExit(7)\n",
        "",
    ),
];

fn programs_that_attack_their_grader_are_ended_told_and_leave_nothing() {
    let place = place("lab-attack");
    let mark = format!("proclab-attack-{}", std::process::id());
    let outside = Path::new(env!("CARGO_TARGET_TMPDIR")).join(&mark);
    // No other key of this system begins like this.
    let key = (0x7A00_0000 + std::process::id()).to_string();
    std::fs::write(&outside, "untouched").unwrap();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = |needed: &str| std::env::split_paths(&path).any(|folder| folder.join(needed).is_file());
    let mut faults = Vec::new();
    for (name, file, text, bound) in SUBMISSIONS {
        let needed = match Path::new(file).extension().unwrap().to_str().unwrap() {
            "py" => "python3",
            "c" => "cc",
            "rs" => "rustc",
            _ => "sh",
        };
        if !is_there(needed) {
            println!("{name} is left out: {needed} is not installed");
            continue;
        }
        let text = text.replace("MARK", &mark).replace("OUTSIDE", &outside.display().to_string());
        let text = text.replace("KEY", &key);
        hand_in(&place, name, &[(file, &text)]);
        // Where another limit is meant, that of time must not come first, however slow the machine is at the moment.
        let seconds = if matches!(bound, "" | "time") { "seconds = 2" } else { "seconds = 30" };
        let card = CARD.replace("seconds = 2", seconds);
        std::fs::write(place.path().join("labs/tiny/lab.toml"), card).unwrap();
        let begin = Instant::now();
        let mut command = lab(&place, &["grade", "tiny", "--student", "ada", name]);
        let output = command.env("PATH", &path).output().unwrap();
        let took = begin.elapsed();
        let Ok(graded) = serde_json::from_slice::<serde_json::Value>(&output.stdout) else {
            faults.push(format!("{name}: {}", said(&output)));
            continue;
        };
        let part = part(&graded, "add");
        // A program that does not compile has no tests.
        let of_compiler = part["notes"].as_array().unwrap().iter().find(|note| note["note"] == "not-built");
        let failed = of_compiler.map_or(&part["tests"][0]["failed"], |note| &note["ended"]);
        let is_told = failed["reason"].is_string() || part["schedule"]["why"].is_string();
        let is_bound = bound.is_empty() || failed["bound"] == bound;
        let is_plain = !part.to_string().contains("\\u001b");
        // Its limit is two seconds of the test, four repeats of a third of it, and a search.
        let is_soon = took < Duration::from_secs(60);
        if part["state"] == "right" || !is_told || !is_bound || !is_plain || !is_soon {
            faults.push(format!("{name} took {took:?}: {part:#}"));
        }
        println!("{name}: {took:.1?}, {} of 4 points, {failed}", part["score"]);
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    // The next submission is marked as if there had been none before.
    hand_in(&place, "next", &[("add.sh", "read x < n; echo $((x + 2)) > n\n")]);
    assert_eq!(part(&grade(&place, "next", "json"), "add")["state"], "right");
    assert_eq!(std::fs::read_to_string(&outside).unwrap(), "untouched");
    std::fs::remove_file(&outside).unwrap();
    assert!(!Path::new("/dev/shm").join(&mark).exists(), "shared memory is left");
    let objects = std::fs::read_to_string("/proc/sysvipc/shm").unwrap_or_default();
    assert!(!objects.split_whitespace().any(|word| word == key), "System V shared memory is left");
    let names = [mark.as_str(), "add.py", "add.sh"];
    let living = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok).filter(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line);
        line.contains(names[0]) || names[1..].iter().any(|name| line.ends_with(&format!("\0{name}\0")))
    });
    assert_eq!(living.count(), 0, "nothing of them is left");
}

fn hostile_programs_are_ended_told_and_leave_nothing() {
    let place = place("lab-hostile");
    let mark = format!("proclab-hostile-{}", std::process::id());
    let outside = place.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    for (name, text, bound) in [
        ("fork", format!(": {mark}; f() {{ f & f & wait; }}; f; f\n"), "processes"),
        ("deaf", format!(": {mark}; trap '' TERM INT HUP; while :; do sleep 1; done\n"), "time"),
        (
            "loud",
            format!(": {mark}; while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done\n"),
            "output",
        ),
        (
            "full",
            format!(
                ": {mark}; while :; do cat big big > more 2> /dev/null || echo x > big; mv more big; done\n"
            ),
            "",
        ),
        ("daemon", format!("setsid sh -c ': {mark}; sleep 600' > /dev/null 2>&1 &\nsleep 0.2\n"), ""),
        ("wait", format!(": {mark}; mkfifo p; read x < p\n"), "time"),
        ("killer", format!(": {mark}; setsid sh -c ': {mark}; sleep 600' & kill -9 $PPID; sleep 600\n"), ""),
    ] {
        hand_in(&place, name, &[("add.sh", &text)]);
        let graded = grade(&place, name, "json");
        let part = part(&graded, "add");
        assert_eq!(
            (part["state"].as_str(), part["score"].as_f64()),
            (Some("wrong"), Some(0.0)),
            "{name}: {part:#}"
        );
        let failed = &part["tests"][0]["failed"];
        assert!(failed["reason"].is_string(), "{name}: {part:#}");
        if !bound.is_empty() {
            assert_eq!(failed["bound"], bound, "{name}: {part:#}");
        }
    }
    // Where no namespaces are allowed, as in most containers, the same holds.
    let words = ["grade", "tiny", "--student", "ada", "killer"];
    let alone = lab(&place, &words);
    let mut refused = Command::new("unshare");
    refused
        .args(["-Ur", "sh", "-c", "echo 0 > /proc/sys/user/max_pid_namespaces && exec \"$@\"", "sh"])
        .arg(alone.get_program())
        .args(alone.get_args())
        .envs(alone.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .current_dir(place.path());
    match refused.output() {
        Ok(output) if output.status.success() => {
            let graded = json(&output);
            assert_eq!(part(&graded, "add")["tests"][0]["failed"]["reason"], "interfered", "{graded:#}");
        }
        _ => println!("left out: no user namespace can be made here"),
    }
    let living = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok).filter(|entry| {
        std::fs::read(entry.path().join("cmdline"))
            .is_ok_and(|line| String::from_utf8_lossy(&line).contains(&mark))
    });
    assert_eq!(living.count(), 0, "nothing of them is left");
}
