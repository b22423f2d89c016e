//! Threads: their calls, and the accesses to the program's own variables, are steps.

use crate::common::trials;
use crate::traced::Place;
use libtest_mimic::Trial;
use serde_json::Value;
use std::collections::BTreeSet;

pub(crate) fn tests() -> Vec<Trial> {
    trials!["traced_threads":
        two_mutexes_in_opposite_order_deadlock,
        an_increment_without_a_lock_is_lost,
        a_wait_for_a_condition_without_a_look_at_it_sleeps_for_ever,
        the_end_of_a_process_ends_its_threads,
    ]
}

/// Explores two threads that run `one` and `two`, for which `main` waits.
fn explore(name: &str, variables: &str, [one, two]: [&str; 2]) -> Option<Value> {
    let place = Place::new(name, &[]);
    let program = place.compile_with(
        &["-pthread"],
        &format!(
            "#include <pthread.h>\n#include <unistd.h>\nstatic int result; {variables}\n\
             static void *one(void *x) {{ {one} return 0; }}\n\
             static void *two(void *x) {{ {two} return 0; }}\n\
             int main(void) {{ pthread_t a, b; pthread_create(&a, 0, one, 0); pthread_create(&b, 0, two, 0);\n\
             pthread_join(a, 0); pthread_join(b, 0); return result; }}"
        ),
    )?;
    let view = place.explore(&["--budget", "60"], &[&program]);
    let named = view["uncontrolled"].to_string();
    assert!(view["complete"] == false && named.contains("memory that threads share"), "{named}");
    Some(view)
}

fn exits(view: &Value) -> BTreeSet<Option<i64>> {
    view["outcomes"].as_array().unwrap().iter().map(|it| it["exit"]["root"].as_i64()).collect()
}

fn two_mutexes_in_opposite_order_deadlock() {
    let lock = |first: char, second: char| {
        format!(
            "pthread_mutex_lock(&{first}); pthread_mutex_lock(&{second}); pthread_mutex_unlock(&{second}); pthread_mutex_unlock(&{first});"
        )
    };
    let mutexes = "static pthread_mutex_t a = PTHREAD_MUTEX_INITIALIZER, b = PTHREAD_MUTEX_INITIALIZER;";
    let Some(view) = explore("abba", mutexes, [&lock('a', 'b'), &lock('b', 'a')]) else { return };
    assert_eq!(view["outcomes"][0]["verdict"], "deadlock", "{view}");
    let waits = view["outcomes"][0]["deadlock"].as_array().unwrap();
    let tasks: Vec<_> = waits.iter().map(|wait| wait["task"].as_str().unwrap()).collect();
    assert_eq!(tasks, ["root", "root.t1", "root.t2"], "{waits:?}");
    let view = explore("abab", mutexes, [&lock('a', 'b'), &lock('a', 'b')]).unwrap();
    assert_eq!(exits(&view), [Some(0)].into(), "{view}");
}

fn an_increment_without_a_lock_is_lost() {
    let Some(view) = explore("increment", "", ["result++;", "result++;"]) else { return };
    assert_eq!(view["ended"], true);
    assert_eq!(exits(&view), [Some(1), Some(2)].into(), "{view}");
}

fn a_wait_for_a_condition_without_a_look_at_it_sleeps_for_ever() {
    let variables = "static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;\n\
                     static pthread_cond_t c = PTHREAD_COND_INITIALIZER; static int ready;";
    let give = "pthread_mutex_lock(&m); ready = 1; pthread_cond_signal(&c); pthread_mutex_unlock(&m);";
    let take = |wait: &str| {
        format!("pthread_mutex_lock(&m); {wait} pthread_cond_wait(&c, &m); pthread_mutex_unlock(&m);")
    };
    let Some(view) = explore("lost-wake-up", variables, [give, &take("")]) else { return };
    assert_eq!(view["outcomes"][0]["verdict"], "deadlock", "{view}");
    let view = explore("wake-up", variables, [give, &take("while (!ready)")]).unwrap();
    assert_eq!(exits(&view), [Some(0)].into(), "{view}");
}

fn the_end_of_a_process_ends_its_threads() {
    let Some(view) = explore("threads-end", "", ["_exit(3);", "pause();"]) else { return };
    assert_eq!(exits(&view), [Some(3)].into(), "{view}");
}
