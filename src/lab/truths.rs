//! The truths of one grading run: what is the same measurement for many students is measured once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::card::Part;
use super::files::Files;
use super::question::Answer;
use super::schedule::{self, ScheduleError, Shortest};
use super::truth::{TruthError, measure};
use super::variant::Variant;
use crate::supervisor::Supervisor;

/// The measurements so far. Several threads may share it.
#[derive(Debug, Default)]
pub struct Truths {
    answers: Memo<Vec<Answer>>,
    shortest: Memo<Option<Shortest>>,
}

impl Truths {
    /// The truth of a prediction, measured unless it is known.
    ///
    /// # Errors
    /// [`TruthError`]. A failed measurement is not kept: the next student's is another attempt.
    pub fn of_prediction(
        &self,
        supervisor: &Supervisor,
        part: &Part,
        material: &Files,
        variant: &Variant,
    ) -> Result<Vec<Answer>, TruthError> {
        self.found_by(part, material, variant, || measure(supervisor, part, material, variant))
    }

    /// The truth of a prediction, found by `measure` unless it is known.
    ///
    /// # Errors
    /// What `measure` fails with, which is not kept.
    pub fn found_by<E>(
        &self,
        part: &Part,
        material: &Files,
        variant: &Variant,
        measure: impl FnOnce() -> Result<Vec<Answer>, E>,
    ) -> Result<Vec<Answer>, E> {
        self.answers.get(Key::of_prediction(part, material, variant), measure)
    }

    /// The shortest schedule that reaches the goal of a part, searched for unless it is known.
    ///
    /// # Errors
    /// [`ScheduleError`].
    pub fn shortest(
        &self,
        supervisor: &Supervisor,
        part: &Part,
        variant: &Variant,
    ) -> Result<Option<Shortest>, ScheduleError> {
        let key = Key { part: part.id().to_owned(), words: variant.fill_all(&part.scenario), files: None };
        self.shortest.get(key, || schedule::shortest(supervisor, part, variant))
    }
}

/// What a measurement depends on: students whose values make no difference to it share it.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    part: String,
    words: Vec<String>,
    files: Option<blake3::Hash>,
}

impl Key {
    fn of_prediction(part: &Part, material: &Files, variant: &Variant) -> Self {
        let words = if part.explore.is_empty() { &part.command } else { &part.explore };
        let mut hasher = blake3::Hasher::new();
        for (name, bytes) in &material.0 {
            // With the lengths, no two sets of files have the same encoding.
            hasher.update(&[name.len() as u64, bytes.len() as u64].map(u64::to_le_bytes).concat());
            hasher.update(name.as_bytes());
            hasher.update(bytes);
        }
        let files = Some(hasher.finalize());
        Self { part: part.id().to_owned(), words: variant.fill_all(words), files }
    }
}

/// Values by what they follow from. A second thread that needs a value waits for the first to find it.
#[derive(Debug)]
struct Memo<T>(Mutex<HashMap<Key, Slot<T>>>);

type Slot<T> = Arc<Mutex<Option<T>>>;

impl<T> Default for Memo<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Memo<T> {
    fn get<E>(&self, key: Key, find: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let slot = lock(&self.0).entry(key).or_default().clone();
        let mut slot = lock(&slot);
        if let Some(known) = &*slot {
            return Ok(known.clone());
        }
        let found = find()?;
        *slot = Some(found.clone());
        Ok(found)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(word: &str) -> Key {
        Key { part: "part".into(), words: vec![word.into()], files: None }
    }

    #[test]
    fn a_value_is_found_once_however_many_threads_ask_and_a_failure_is_tried_again() {
        let memo = Memo::default();
        assert_eq!(memo.get(key("a"), || Err::<u32, _>("busy")), Err("busy"));
        let found = std::sync::atomic::AtomicU32::new(0);
        let find = || {
            found.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            Ok::<u32, &str>(7)
        };
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| assert_eq!(memo.get(key("a"), find), Ok(7)));
            }
        });
        assert_eq!(found.into_inner(), 1);
        assert_eq!(memo.get(key("b"), || Ok::<_, &str>(8)), Ok(8));
    }

    #[test]
    fn variants_share_a_measurement_if_the_command_and_the_files_are_the_same() {
        let card = super::super::card::Card::parse(
            "minutes = 1\n[vary]\nn = [1, 2, 3, 4]\n\
             [[part]]\nid = \"same\"\nkind = \"number\"\npoints = 1\ncommand = [\"true\"]\n\
             [[part]]\nid = \"other\"\nkind = \"number\"\npoints = 1\ncommand = [\"echo\", \"{{n}}\"]\n",
        )
        .unwrap();
        let files = |text: &str| Files([("a".to_owned(), text.as_bytes().to_vec())].into());
        let variants: Vec<Variant> = (0..40).map(|n| Variant::of("lab", &card, &n.to_string())).collect();
        let keys = |at: usize, text: &str| -> std::collections::HashSet<Key> {
            let key = |variant| Key::of_prediction(&card.parts[at], &files(text), variant);
            variants.iter().map(key).collect()
        };
        assert_eq!(keys(0, "x").len(), 1);
        assert_eq!(keys(1, "x").len(), 4);
        assert!(keys(0, "x").is_disjoint(&keys(0, "y")));
    }
}
