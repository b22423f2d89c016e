//! A table of many students: one line each, with the points of each part.

use super::text::points;
use crate::lab::mark::LabMark;

/// The first line: the names of the columns.
pub fn head(parts: &[&str]) -> String {
    let mut cells = vec!["student", "score", "max"];
    cells.extend(parts);
    cells.push("note");
    line(&cells.into_iter().map(str::to_owned).collect::<Vec<_>>())
}

/// A student's line; `note` says what went wrong.
pub fn row(student: &str, mark: &LabMark, note: &str) -> String {
    let mut cells = vec![student.to_owned(), points(mark.score), mark.max.to_string()];
    cells.extend(mark.parts.iter().map(|part| points(part.score)));
    cells.push(note.to_owned());
    line(&cells)
}

/// Cells quoted as in RFC 4180. A cell that a spreadsheet would take for a formula is turned into text.
fn line(cells: &[String]) -> String {
    let cell = |text: &String| {
        let text = if text.starts_with(['=', '+', '@', '-']) { format!("'{text}") } else { text.clone() };
        let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        if text.contains([',', '"', '\'', ' ']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
    };
    cells.iter().map(cell).collect::<Vec<_>>().join(",") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_neither_break_the_table_nor_be_a_formula() {
        let line = line(&["=1+1".to_owned(), "a,\"b\"\nc".to_owned()]);
        assert_eq!(line, "\"'=1+1\",\"a,\"\"b\"\" c\"\n");
    }
}
