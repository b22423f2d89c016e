//! Programs as students write them, nearly right: each is a solution with one mistake in it, or a program of its own.

use std::path::Path;

use libtest_mimic::Trial;
use serde_json::Value;

use super::{hand_in, part, said};
use crate::common::trials;
use crate::traced_verbs::Place;

pub(crate) fn tests() -> Vec<Trial> {
    trials!["labs_students":
        a_mistake_that_only_some_inputs_show_costs_points,
        a_buyer_that_fails_without_a_word_costs_points_though_the_count_is_right,
        a_waiter_with_one_seat_too_many_does_not_prevent_the_deadlock,
        who_loses_patience_with_a_lock_is_wrong,
        a_program_is_explored_with_the_arguments_that_its_sheet_names,
    ]
}

/// A mistake: the lab, its part, the solution's file, what stands there and what a student wrote, and what is told.
struct Slip {
    lab: &'static str,
    part: &'static str,
    file: &'static str,
    is: &'static str,
    was: &'static str,
    told: &'static str,
}

fn is_there(needed: &str) -> bool {
    let is_there = ["/usr/local/bin", "/usr/bin", "/bin"].iter().any(|f| Path::new(f).join(needed).exists());
    if !is_there {
        println!("left out: {needed} is not installed");
    }
    is_there
}

/// The mark of the part of a lab for this file.
fn marked(lab: &str, id: &str, file: &str, text: &str) -> Value {
    let place = Place::new("lab-student", &[]);
    hand_in(&place, "in", &[(file, text)]);
    let words = ["lab", "--lang", "en", "grade", lab, "--student", "ada", "--format", "json", "in"];
    let output = place.command(&words).output().unwrap();
    let mark: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", said(&output)));
    part(&mark, id).clone()
}

fn solution(lab: &str, file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/labs").join(lab).join("solution").join(file);
    std::fs::read_to_string(path).unwrap()
}

fn costs_points(slip: &Slip) {
    let right = solution(slip.lab, slip.file);
    let wrong = right.replace(slip.is, slip.was);
    assert_ne!(right, wrong, "{}: {}", slip.file, slip.is);
    let part = marked(slip.lab, slip.part, slip.file, &wrong);
    assert!(matches!(part["state"].as_str(), Some("partly" | "wrong")), "{}: {part:#}", slip.was);
    assert!(part.to_string().contains(slip.told), "{}: {part:#}", slip.was);
}

fn a_mistake_that_only_some_inputs_show_costs_points() {
    if !is_there("python3") {
        return;
    }
    let frames =
        |is, was, told| Slip { lab: "sticky-packets", part: "frames", file: "frames.py", is, was, told };
    let sender = |is, was, told| Slip { lab: "datagrams", part: "sender", file: "sender.py", is, was, told };
    for slip in [
        frames("length > LONGEST", "length >= LONGEST", "1000 xxx"),
        frames("from_bytes(header, \"big\")", "from_bytes(header[3:], \"big\")", "1000 xxx"),
        frames("print(length, text.decode()", "print(len(text.decode()), text.decode()", "2 é"),
        sender("line.rstrip()", "line.split()[0]", "'line 0'"),
        sender(
            "wire.recv(100) == f\"ack {number}\".encode()",
            "int(wire.recv(100)[4:5]) == number",
            "'line 11'",
        ),
        // Another answer than the expected one is no reason to send again at once.
        sender(
            "                return True\n",
            "                return True\n            return False\n",
            "is sent again",
        ),
        Slip {
            lab: "yours-and-mine",
            part: "sum",
            file: "sum.py",
            is: "int(line)",
            was: "int(line) % 256",
            told: "sum 2870",
        },
        Slip {
            lab: "birth-to-reaping",
            part: "reaper",
            file: "reaper.py",
            is: "            pid, status = os.waitpid(-1, os.WNOHANG)\n        except ChildProcessError:\n            return\n        if pid == 0:\n            return\n",
            // The children are looked at, and stay zombies.
            was: "            pid = (set(number) - {pid for pid, _ in reaped}).pop()\n            status = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT).si_status << 8\n        except KeyError:\n            return\n",
            told: "were never waited for",
        },
    ] {
        costs_points(&slip);
    }
    let polls = "import os, time\nos.set_blocking(0, False)\ntext = b''\nwhile True:\n    try:\n        piece = os.read(0, 4096)\n    except BlockingIOError:\n        time.sleep(0.05)\n        continue\n    if not piece:\n        break\n    text += piece\nnumbers = [int(line) for line in text.split()]\nprint(f'{len(numbers)} lines, sum {sum(numbers)}')\n";
    let part = marked("ready-running", "reader", "reader.py", polls);
    assert!(part.to_string().contains("it sleeps and looks again"), "{part:#}");
}

fn a_buyer_that_fails_without_a_word_costs_points_though_the_count_is_right() {
    if !is_there("python3") {
        return;
    }
    // What is written reaches the file only when it is closed, and that is after the unlock: until then it is empty.
    let buffered = r#"import fcntl, os, sys
def buy(name):
    with open("stock", "r+") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        left = int(f.read())
        if left > 0:
            f.seek(0)
            f.truncate()
            f.write(f"{left - 1}\n")
        fcntl.flock(f, fcntl.LOCK_UN)
    print(f"{name} has {'a' if left > 0 else 'no'} ticket", flush=True)
n = int(sys.argv[1]) if sys.argv[1:] else 2
for i in range(n):
    if os.fork() == 0:
        buy("ABC"[i])
        os._exit(0)
for _ in range(n):
    os.wait()
"#;
    let part = marked("last-ticket", "sale", "sale.py", buffered);
    let why = part["schedule"]["why"].as_str().unwrap_or_default();
    assert!(why.contains("each of the two buyers says what it got"), "{part:#}");
    // A search that says nothing about a file that is half-written has not asked.
    let starter = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/labs/last-ticket/starter/tickets.py");
    let silent = std::fs::read_to_string(starter).unwrap().replace(
        "    search_ticket(user)\n",
        "    try:\n        search_ticket(user)\n    except ValueError:\n        pass\n",
    );
    let part = marked("last-ticket", "notes", "tickets.py", &silent);
    let why = part["schedule"]["why"].as_str().unwrap_or_default();
    assert!(why.contains("asks once how many are left"), "{part:#}");
}

fn a_waiter_with_one_seat_too_many_does_not_prevent_the_deadlock() {
    if !is_there("python3") {
        return;
    }
    let table = |seats: usize| {
        let text = r#"import fcntl
from multiprocessing import Process, Semaphore
def philosopher(i, waiter):
    with waiter:
        left, right = open(f"fork{i}", "a"), open(f"fork{(i + 1) % 3}", "a")
        fcntl.flock(left, fcntl.LOCK_EX)
        fcntl.flock(right, fcntl.LOCK_EX)
        print(i, "eats", flush=True)
waiter = Semaphore(SEATS)
people = [Process(target=philosopher, args=(i, waiter)) for i in range(3)]
for person in people:
    person.start()
for person in people:
    person.join()
"#;
        marked("deadlock", "table", "table.py", &text.replace("SEATS", &seats.to_string()))
    };
    let wrong = table(3);
    assert_eq!(wrong["schedule"]["verdict"], "deadlock", "{wrong:#}");
    let right = table(2);
    assert_eq!(right["state"], "right", "{right:#}");
}

/// A sale under a lock file, which a buyer that has looked so often calls left behind.
const PATIENT: &str = r#"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    int n = atoi(argv[1]);
    for (int i = 0; i < n; i++)
        if (fork() == 0) {
            for (int looks = 0; open("lock", O_CREAT | O_EXCL, 0600) < 0 && looks < LOOKS; looks++)
                usleep(10000);
            int left = 0;
            FILE *stock = fopen("stock", "r+");
            fscanf(stock, "%d", &left);
            rewind(stock);
            if (left > 0)
                fprintf(stock, "%d\n", left - 1);
            fclose(stock);
            dprintf(1, "%c has %s ticket\n", 'A' + i, left > 0 ? "a" : "no");
            unlink("lock");
            _exit(0);
        }
    while (wait(NULL) > 0)
        ;
    return 0;
}
"#;

fn who_loses_patience_with_a_lock_is_wrong() {
    if !is_there("cc") {
        return;
    }
    let sale = |looks: &str| marked("last-ticket", "sale", "sale.c", &PATIENT.replace("LOOKS", looks));
    let wrong = sale("20");
    let why = wrong["schedule"]["why"].as_str().unwrap_or_default();
    assert!(why.contains("2 tickets were sold"), "{wrong:#}");
    assert!(wrong["schedule"]["replay"].as_str().unwrap().contains("--timeouts"), "{wrong:#}");
    let right = sale("1000000000");
    assert_eq!(right["state"], "right", "{right:#}");
}

fn a_program_is_explored_with_the_arguments_that_its_sheet_names() {
    if !is_there("cc") {
        return;
    }
    let chain = r#"
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
static int chain(int level, int most)
{
    dprintf(1, "%d %d %d\n", level, getpid(), getppid());
    if (level == most)
        return 1;
    if (fork() == 0)
        exit(chain(level + 1, most));
    int status;
    wait(&status);
    return WEXITSTATUS(status) + 1;
}
int main(int argc, char **argv) { return chain(1, atoi(argv[1])); }
"#;
    let part = marked("whose-child", "chain", "chain.c", chain);
    assert_eq!(part["state"], "right", "{part:#}");
}
