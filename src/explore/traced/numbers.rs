//! PIDs that depend only on the place in the tree, so that they are the same in every execution.

use super::world::World;

/// The PID of the first process.
const FIRST: i32 = 100;
/// The PID of the process that executions begin as copies of.
pub(super) const TEMPLATE: i32 = 50;
/// The number of children of a process whose descendants have PIDs by place.
const CHILDREN: u64 = 16;
/// The end of the PIDs by place, and the beginning of those by hash.
const BY_PLACE: u64 = 20_000;
/// The number of PIDs by hash; the largest PID is at least 32,767.
const BY_CHANCE: u64 = 10_000;

/// The PID or TID of the task at this place in the tree (`root.1.2`).
///
/// They are distinct in small trees. In others, two tasks may have the same one, and the kernel assigns the next free one
/// to the second.
pub(super) fn number_of(name: &str) -> i32 {
    let mut digits = name.split('.').skip(1).map(|part| part.parse::<u64>().ok().filter(|k| *k <= CHILDREN));
    let code = digits.try_fold(0_u64, |code, digit| code.checked_mul(CHILDREN)?.checked_add(digit?));
    let offset = match code.filter(|code| *code < BY_PLACE) {
        Some(code) => code,
        None => BY_PLACE + super::stamps::hash(name) % BY_CHANCE,
    };
    FIRST + offset as i32
}

impl World {
    /// Chooses the PID of the next task, which is called `name`.
    pub(super) fn number_next(&mut self, name: &str) {
        let is_chosen = self.numbers.as_ref().is_some_and(|numbers| numbers.next(number_of(name)).is_ok());
        if !is_chosen {
            self.note("process numbers, which the kernel chose: it allows no namespace for them here");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_trees_have_distinct_numbers_and_all_are_in_range() {
        let mut numbers: Vec<i32> =
            ["root", "root.1", "root.16", "root.1.1", "root.1.16", "root.2.1", "root.1.1.1"]
                .map(number_of)
                .to_vec();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 7);
        for name in ["root.17", "root.t1", "root.1.2.3.4.5.6.7", "root.4000000000"] {
            assert!((20_100..30_100).contains(&number_of(name)), "{name}");
        }
    }
}
