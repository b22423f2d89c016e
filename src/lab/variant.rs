//! Each student's own values, drawn from the names of the lab and the student: the same student always gets the same
//! ones, and neighbours get different ones.

use std::collections::BTreeMap;

use super::card::Card;

/// The values of `{{name}}` for one student.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    values: BTreeMap<String, String>,
}

impl Variant {
    /// The values that `student` gets in the lab `name`.
    pub fn of(name: &str, card: &Card, student: &str) -> Self {
        let draw = |(key, values): (&String, &toml::Spanned<Vec<super::card::Value>>)| {
            let values = values.get_ref();
            // A length before each word makes the encoding of a triple unique.
            let text = [name, student, key].map(|word| format!("{}:{word}", word.len())).concat();
            let hash = blake3::hash(text.as_bytes());
            let mut number = [0; 8];
            number.copy_from_slice(&hash.as_bytes()[..8]);
            let at = u64::from_le_bytes(number) % values.len().max(1) as u64;
            (key.clone(), values.get(at as usize).map(ToString::to_string).unwrap_or_default())
        };
        Self { values: card.vary.iter().map(draw).collect() }
    }

    /// The text with this student's values. Other words in double braces stay.
    pub fn fill(&self, text: &str) -> String {
        self.values
            .iter()
            .fold(text.to_owned(), |text, (key, value)| text.replace(&format!("{{{{{key}}}}}"), value))
    }

    /// Each word with this student's values.
    pub fn fill_all(&self, words: &[String]) -> Vec<String> {
        words.iter().map(|word| self.fill(word)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_student_gets_the_same_numbers_and_neighbours_get_others() {
        let card = Card::parse(
            "minutes = 1\n[vary]\nn = [1, 2, 3, 4]\nword = [\"x\", \"y\"]\n\
             [[part]]\nid = \"a\"\nkind = \"number\"\npoints = 1\ncommand = [\"true\"]\n",
        )
        .unwrap();
        let of = |student: &str| Variant::of("lab", &card, student);
        assert_eq!(of("ada"), of("ada"));
        let all: std::collections::BTreeSet<String> =
            (0..40).map(|n| of(&n.to_string()).fill("{{n}} {{word}}")).collect();
        assert_eq!(all.len(), 8, "{all:?}");
        assert_eq!(of("ada").fill("f\"{{other}}\" {n}"), "f\"{{other}}\" {n}");
    }
}
