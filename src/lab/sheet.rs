//! A sheet: what a student reads, in one language.
//!
//! `# Title` and an introduction; then `## id: Title` for each part, with its text, its options as list items that
//! begin with a name in backquotes, its hints as `> Hint: …`, and the explanation that is shown once it is right as `> Why: …`.

use super::card::{Card, Mistake, Part};
use super::lang::Lang;
use super::question::Kind;

/// The largest sheet, in bytes.
pub const LONGEST: usize = 512 << 10;

/// A sheet.
#[derive(Clone, Debug, Default)]
pub struct Sheet {
    /// The lab's title.
    pub title: String,
    /// What comes before the first part.
    pub intro: String,
    /// The parts, in order.
    pub sections: Vec<Section>,
}

/// The text of one part.
#[derive(Clone, Debug, Default)]
pub struct Section {
    /// The part's name.
    pub id: String,
    /// Its title.
    pub title: String,
    /// The question, options included.
    pub text: String,
    /// The names of the options.
    pub options: Vec<String>,
    /// Hints, the vaguest first.
    pub hints: Vec<String>,
    /// The explanation.
    pub why: Option<String>,
    /// Its line in the file.
    pub line: usize,
}

/// The words that begin a hint or an explanation.
const HINTS: [&str; 3] = ["Hint:", "提示：", "提示:"];
const WHYS: [&str; 3] = ["Why:", "解释：", "解释:"];

/// What a quotation of several lines belongs to.
#[derive(Clone, Copy, PartialEq)]
enum Quoted {
    No,
    Hint,
    Why,
}

impl Sheet {
    /// Parses a sheet.
    pub fn parse(text: &str) -> Self {
        let mut sheet = Self::default();
        let mut quoted = Quoted::No;
        let mut fenced = false;
        for (number, line) in text.lines().enumerate() {
            if line.trim_start().starts_with("```") {
                fenced = !fenced;
            }
            if let Some(title) = line.strip_prefix("# ").filter(|_| !fenced && sheet.title.is_empty()) {
                sheet.title = title.trim().to_owned();
                continue;
            }
            if let Some(head) = line.strip_prefix("## ").filter(|_| !fenced) {
                let (id, title) = head.split_once([':', '：']).unwrap_or((head, ""));
                let (id, title) = (id.trim().to_owned(), title.trim().to_owned());
                sheet.sections.push(Section { id, title, line: number + 1, ..Section::default() });
                quoted = Quoted::No;
                continue;
            }
            match sheet.sections.last_mut() {
                None => push_line(&mut sheet.intro, line),
                Some(section) => section.take(line, &mut quoted, fenced),
            }
        }
        sheet.intro = sheet.intro.trim().to_owned();
        for section in &mut sheet.sections {
            section.text = section.text.trim().to_owned();
        }
        sheet
    }

    /// The text of a part.
    pub fn section(&self, id: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.id == id)
    }

    /// Checks that it has what the card needs.
    ///
    /// # Errors
    /// The first mistake.
    pub fn check(&self, card: &Card, lang: Lang, text: &str) -> Result<(), Mistake> {
        let file = format!("{}.md", lang.name());
        let mistake = |line: usize, what: String, mend: &str| {
            Err(Mistake { file: file.clone(), line: line.max(1), column: 1, what, mend: mend.to_owned() })
        };
        if self.title.is_empty() {
            return mistake(1, "the sheet has no title".into(), "begin it with `# Title`");
        }
        for part in &card.parts {
            let Some(section) = self.section(part.id()) else {
                let what = format!("part `{}` has no text", part.id());
                return mistake(
                    text.lines().count(),
                    what,
                    &format!("add `## {}: Title` and the question", part.id()),
                );
            };
            if section.text.is_empty() {
                return mistake(
                    section.line,
                    format!("part `{}` asks nothing", part.id()),
                    "write the question below its title",
                );
            }
            if section.hints.is_empty() {
                return mistake(section.line, format!("part `{}` has no hint", part.id()), "add `> Hint: …`");
            }
            if let Some(missing) = missing_option(part, section) {
                let what = format!("option `{missing}` of part `{}` has no text", part.id());
                return mistake(section.line, what, &format!("add \"- `{missing}`: …\""));
            }
        }
        match self.sections.iter().find(|section| card.parts.iter().all(|part| part.id() != section.id)) {
            Some(more) => mistake(
                more.line,
                format!("lab.toml has no part `{}`", more.id),
                "correct the id, or add the part to lab.toml",
            ),
            None => Ok(()),
        }
    }
}

fn missing_option<'p>(part: &'p Part, section: &Section) -> Option<&'p String> {
    let is_asked = part.kind == Kind::Choose;
    part.options.iter().find(|option| is_asked && !section.options.contains(option))
}

impl Section {
    fn take(&mut self, line: &str, quoted: &mut Quoted, fenced: bool) {
        if let Some(quote) = line.strip_prefix('>').filter(|_| !fenced) {
            let quote = quote.trim();
            if let Some(hint) = HINTS.iter().find_map(|word| quote.strip_prefix(word)) {
                self.hints.push(hint.trim().to_owned());
                *quoted = Quoted::Hint;
                return;
            }
            if let Some(why) = WHYS.iter().find_map(|word| quote.strip_prefix(word)) {
                self.why = Some(why.trim().to_owned());
                *quoted = Quoted::Why;
                return;
            }
            match (*quoted, self.hints.last_mut(), &mut self.why) {
                (Quoted::Hint, Some(hint), _) => return push_words(hint, quote),
                (Quoted::Why, _, Some(why)) => return push_words(why, quote),
                _ => {}
            }
        } else {
            *quoted = Quoted::No;
        }
        let option = line.trim_start().strip_prefix("- `").and_then(|rest| rest.split_once('`'));
        if let Some((name, _)) = option {
            self.options.push(name.to_owned());
        }
        push_line(&mut self.text, line);
    }
}

fn push_line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

/// Joins the lines of a paragraph; after Chinese text without a space.
fn push_words(text: &mut String, more: &str) {
    if text.ends_with(|c: char| c.is_ascii()) && !text.is_empty() {
        text.push(' ');
    }
    text.push_str(more);
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHEET: &str = "# The lab\n\nWelcome.\n\n## a: First\nWhich?\n\n- `x`: this\n- `y`: that\n\n\
        > Hint: think\n> again\n> Hint: look\n\n> Why: because\n\n## b：Second\n```\n## not a part\n```\n> 提示：想\n> 一想\n";

    #[test]
    fn a_sheet_is_its_title_and_a_section_a_part() {
        let sheet = Sheet::parse(SHEET);
        assert_eq!((sheet.title.as_str(), sheet.intro.as_str()), ("The lab", "Welcome."));
        let [a, b] = &sheet.sections[..] else { panic!("{sheet:?}") };
        assert_eq!(a.options, ["x", "y"]);
        assert_eq!(a.hints, ["think again", "look"]);
        assert_eq!(a.why.as_deref(), Some("because"));
        assert_eq!((b.id.as_str(), b.title.as_str()), ("b", "Second"));
        assert_eq!(b.hints, ["想一想"]);
        assert!(b.text.contains("## not a part"));
    }

    #[test]
    fn a_sheet_without_a_part_of_the_card_is_refused_by_name() {
        let part = |id: &str| {
            format!("[[part]]\nid = \"{id}\"\nkind = \"number\"\npoints = 1\ncommand = [\"true\"]\n")
        };
        let card = |ids: &[&str]| {
            let parts: String = ids.iter().map(|id| part(id)).collect();
            Card::parse(&format!("minutes = 1\n{parts}")).unwrap()
        };
        let sheet = Sheet::parse(SHEET);
        assert_eq!(sheet.check(&card(&["a", "b"]), Lang::En, SHEET), Ok(()));
        let missing = sheet.check(&card(&["a", "b", "c"]), Lang::Zh, SHEET).unwrap_err();
        assert!(missing.what.contains("part `c`") && missing.file == "zh.md");
        let more = sheet.check(&card(&["a"]), Lang::En, SHEET).unwrap_err();
        assert!(more.what.contains("no part `b`") && more.line == 17, "{more}");
    }
}
