//! Sentences as values: which one it is, and with which values. Each is worded in English and in Chinese in one place,
//! and nothing has to be read back out of words.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A sentence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct Said {
    /// Which sentence it is.
    pub code: String,
    /// Its values by their names.
    pub values: BTreeMap<String, String>,
    /// In English.
    pub text: String,
    /// In Chinese.
    pub zh: String,
}

impl Said {
    /// The sentence of the variant `name`.
    pub(crate) fn new<const N: usize>(
        name: &str,
        values: [(&str, String); N],
        [text, zh]: [String; 2],
    ) -> Self {
        let values = values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Self { code: kebab_case(name), values, text, zh }
    }

    /// The same sentence under a title.
    #[must_use]
    pub fn titled(mut self, title: &str) -> Self {
        self.text = format!("{title}: {}", self.text);
        self.zh = format!("{title}：{}", self.zh);
        self.values.insert("title".to_owned(), title.to_owned());
        self
    }

    /// The same sentence, and what the system or a program says about it, in its own words.
    #[must_use]
    pub fn quoting(mut self, why: &str) -> Self {
        self.text = format!("{}: {why}", self.text);
        self.zh = format!("{}（{}）", self.zh, quoted_zh(why));
        self.values.insert("why".to_owned(), why.to_owned());
        self
    }
}

/// Words of the system or of a program, in a Chinese sentence.
pub fn quoted_zh(words: &str) -> String {
    format!("原文：“{words}”")
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Some of many, in a sentence: `{}` is English, `{:#}` Chinese.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List<T>(pub Vec<T>);

impl<T: fmt::Display> fmt::Display for List<T> {
    /// The first three, and the number of the others.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 3;
        let more = self.0.len().saturating_sub(SHOWN);
        for (at, item) in self.0.iter().take(SHOWN).enumerate() {
            match (at, f.alternate()) {
                (0, true) => write!(f, "{item:#}")?,
                (0, false) => write!(f, "{item}")?,
                (_, true) => write!(f, "、{item:#}")?,
                (_, false) => write!(f, ", {item}")?,
            }
        }
        match (more, f.alternate()) {
            (0, _) => Ok(()),
            (more, true) => write!(f, "和另外 {more} 个"),
            (more, false) => write!(f, ", and {more} more"),
        }
    }
}

fn kebab_case(name: &str) -> String {
    let mut text = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !text.is_empty() {
            text.push('-');
        }
        text.extend(c.to_lowercase());
    }
    text
}

/// Defines an enum of sentences: `Kind { value: Type } => "English {value}", "Chinese {value}";`. Either wording must
/// have all values, or it does not compile.
macro_rules! sentences {
    ($(#[$meta:meta])* $vis:vis enum $Name:ident {
        $($Kind:ident $({ $($value:ident: $Type:ty),+ $(,)? })? => $en:literal, $zh:literal;)+
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        $vis enum $Name {
            $(#[doc = $en] $Kind $({ $(#[doc = stringify!($value)] $value: $Type),+ })?,)+
        }

        impl From<$Name> for $crate::said::Said {
            fn from(one: $Name) -> Self {
                match one {
                    $($Name::$Kind $({ $($value),+ })? => Self::new(
                        stringify!($Kind),
                        [$($((stringify!($value), $value.to_string())),+)?],
                        [format!($en $(, $($value = $value),+)?), format!($zh $(, $($value = $value),+)?)],
                    ),)+
                }
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::{List, Said};

    sentences! {
        enum Weather {
            Rains => "it rains", "下雨了";
            SoWarm { degrees: f64, place: String } => "{degrees:.1} degrees in {place}", "{place}有 {degrees:.1} 度";
        }
    }

    #[test]
    fn a_sentence_is_its_kind_its_values_and_its_words_in_each_language() {
        let said = Said::from(Weather::SoWarm { degrees: 20.25, place: "Bonn".to_owned() });
        assert_eq!((said.code.as_str(), said.to_string().as_str()), ("so-warm", "20.2 degrees in Bonn"));
        assert_eq!((said.zh.as_str(), said.values["degrees"].as_str()), ("Bonn有 20.2 度", "20.25"));
        assert_eq!(Said::from(Weather::Rains).values.len(), 0);
    }

    #[test]
    fn of_a_long_list_the_rest_is_counted() {
        assert_eq!(format!("{}/{0:#}", List(vec!["a", "b"])), "a, b/a、b");
        assert_eq!(format!("{}/{0:#}", List(vec![1, 2, 3, 4, 5])), "1, 2, 3, and 2 more/1、2、3和另外 2 个");
    }

    #[test]
    fn the_words_of_the_system_are_a_quotation() {
        let said = Said::from(Weather::Rains).quoting("no such cloud");
        assert_eq!(said.to_string(), "it rains: no such cloud");
        assert_eq!(said.zh, "下雨了（原文：“no such cloud”）");
        assert_eq!(said.values["why"], "no such cloud");
    }
}
