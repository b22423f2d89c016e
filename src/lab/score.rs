//! How much of an answer is right, cell by cell.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::question::Answer;

/// How far a number may be off.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tolerance {
    /// By this much.
    Absolute(f64),
    /// By this fraction of the truth.
    Relative(f64),
}

impl Tolerance {
    /// Parses `0.5` or `10%`.
    pub fn parse(text: &str) -> Option<Self> {
        let number = |text: &str| text.trim().parse::<f64>().ok().filter(|number| *number >= 0.0);
        match text.trim().strip_suffix('%') {
            Some(percent) => number(percent).map(|percent| Self::Relative(percent / 100.0)),
            None => number(text).map(Self::Absolute),
        }
    }

    fn allows(self, predicted: f64, measured: f64) -> bool {
        let most = match self {
            Self::Absolute(most) => most,
            Self::Relative(share) => share * measured.abs(),
        };
        (predicted - measured).abs() <= most + 1e-9
    }
}

/// A prediction beside its measurement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Row {
    /// What it is about; empty if the part asks for a single thing.
    pub label: String,
    /// The prediction; `None` where nothing was predicted.
    pub predicted: Option<String>,
    /// The measurement; `None` for what does not occur.
    pub measured: Option<String>,
    /// Whether they agree; `None` if it varies and does not count.
    pub right: Option<bool>,
}

/// A comparison.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Comparison {
    /// The rows.
    pub rows: Vec<Row>,
    /// The fraction that is right, from 0 to 1.
    pub fraction: f64,
}

fn row(label: &str, predicted: Option<&str>, measured: Option<&str>, right: Option<bool>) -> Row {
    let owned = |text: Option<&str>| text.map(str::to_owned);
    Row { label: label.to_owned(), predicted: owned(predicted), measured: owned(measured), right }
}

/// Compares a prediction with measurements. Only what is the same in all of them counts.
pub fn compare(predicted: &Answer, measured: &[Answer], tolerance: Tolerance) -> Comparison {
    let Some(first) = measured.first() else { return Comparison::default() };
    match (predicted, first) {
        (Answer::Choose(said), Answer::Choose(is)) => {
            let right = said == is;
            Comparison { rows: vec![row("", Some(said), Some(is), Some(right))], fraction: share(right, 1) }
        }
        (Answer::Number(said), Answer::Number(_)) => number(*said, measured, tolerance),
        (Answer::Set(said), Answer::Set(_)) => set(said, measured),
        (Answer::Order(said), Answer::Order(is)) => order(said, is, measured),
        (Answer::Tree(said), Answer::Tree(_)) => tree(said, measured),
        (Answer::Grid(said), Answer::Grid(_)) => grid(said, measured),
        _ => Comparison::default(),
    }
}

fn share(right: impl Into<usize>, all: usize) -> f64 {
    right.into() as f64 / all.max(1) as f64
}

/// The median counts.
fn number(said: f64, measured: &[Answer], tolerance: Tolerance) -> Comparison {
    let mut all: Vec<f64> = measured
        .iter()
        .filter_map(|answer| if let Answer::Number(number) = answer { Some(*number) } else { None })
        .collect();
    all.sort_by(f64::total_cmp);
    let median = all[all.len() / 2];
    let right = tolerance.allows(said, median);
    let rows = vec![row("", Some(&said.to_string()), Some(&median.to_string()), Some(right))];
    Comparison { rows, fraction: share(right, 1) }
}

/// Each missing and each superfluous value costs one hit.
fn set(said: &BTreeSet<String>, measured: &[Answer]) -> Comparison {
    let sets: Vec<&BTreeSet<String>> = measured
        .iter()
        .filter_map(|answer| if let Answer::Set(set) = answer { Some(set) } else { None })
        .collect();
    let always: BTreeSet<&String> =
        sets[0].iter().filter(|item| sets.iter().all(|set| set.contains(*item))).collect();
    let ever: BTreeSet<&String> = sets.iter().flat_map(|set| set.iter()).collect();
    let mut rows = Vec::new();
    let (mut hits, mut extra) = (0_usize, 0_usize);
    for item in said.iter().chain(ever.iter().copied()).collect::<BTreeSet<_>>() {
        let (is_said, is_so) = (said.contains(item), ever.contains(item));
        let right = if is_so && !always.contains(item) { None } else { Some(is_said == is_so) };
        hits += usize::from(right == Some(true));
        extra += usize::from(is_said && !is_so);
        rows.push(row("", is_said.then_some(item), is_so.then_some(item), right));
    }
    let fraction = match (always.is_empty(), extra) {
        (true, extra) => f64::from(extra == 0),
        (false, extra) => share(hits.saturating_sub(extra), always.len()),
    };
    Comparison { rows, fraction }
}

/// Counts the pairs in the right order, among those whose order is the same in all measurements.
fn order(said: &[String], is: &[String], measured: &[Answer]) -> Comparison {
    let place = |items: &[String], item: &String| items.iter().position(|one| one == item);
    let before = |items: &[String], a: &String, b: &String| Some(place(items, a)? < place(items, b)?);
    let (mut right, mut all) = (0_usize, 0_usize);
    for (at, a) in is.iter().enumerate() {
        for b in &is[at + 1..] {
            let is_fixed = measured.iter().all(|answer| match answer {
                Answer::Order(items) => before(items, a, b) == Some(true),
                _ => false,
            });
            if is_fixed {
                all += 1;
                right += usize::from(before(said, a, b) == Some(true));
            }
        }
    }
    let has_more = said.iter().any(|item| !is.contains(item));
    let places = said.len().max(is.len());
    let rows = (0..places).map(|at| {
        let (said, is) = (said.get(at).map(String::as_str), is.get(at).map(String::as_str));
        let varies = measured.iter().any(|answer| match answer {
            Answer::Order(items) => items.get(at).map(String::as_str) != is,
            _ => true,
        });
        row(&(at + 1).to_string(), said, is, (!varies).then_some(said == is))
    });
    let rows = rows.collect();
    let fraction = if has_more { 0.0 } else { share(right, all) };
    let fraction = if all == 0 { f64::from(said.len() == is.len() && !has_more) } else { fraction };
    Comparison { rows, fraction }
}

fn tree(said: &BTreeMap<String, String>, measured: &[Answer]) -> Comparison {
    let trees: Vec<&BTreeMap<String, String>> = measured
        .iter()
        .filter_map(|answer| if let Answer::Tree(tree) = answer { Some(tree) } else { None })
        .collect();
    let names: BTreeSet<&String> = said.keys().chain(trees.iter().flat_map(|tree| tree.keys())).collect();
    let (mut hits, mut extra, mut all) = (0_usize, 0_usize, 0_usize);
    let mut rows = Vec::new();
    for name in names {
        let (predicted, is) = (said.get(name), trees[0].get(name));
        let is_fixed = trees.iter().all(|tree| tree.get(name) == is);
        let right = is_fixed.then_some(predicted == is);
        if is_fixed {
            all += usize::from(is.is_some());
            hits += usize::from(right == Some(true));
            extra += usize::from(is.is_none());
        }
        rows.push(row(name, predicted.map(String::as_str), is.map(String::as_str), right));
    }
    Comparison { rows, fraction: share(hits.saturating_sub(extra), all) }
}

fn grid(said: &BTreeMap<String, Vec<String>>, measured: &[Answer]) -> Comparison {
    let grids: Vec<&BTreeMap<String, Vec<String>>> = measured
        .iter()
        .filter_map(|answer| if let Answer::Grid(grid) = answer { Some(grid) } else { None })
        .collect();
    let cell = |grid: &BTreeMap<String, Vec<String>>, name: &str, at: usize| {
        grid.get(name).and_then(|cells| cells.get(at)).map(|cell| cell.to_uppercase())
    };
    let (mut hits, mut all) = (0_usize, 0_usize);
    let mut rows = Vec::new();
    for (name, cells) in grids[0] {
        for at in 0..cells.len() {
            let (predicted, is) = (cell(said, name, at), cell(grids[0], name, at));
            let is_fixed = grids.iter().all(|grid| cell(grid, name, at) == is);
            let right = is_fixed.then_some(predicted == is);
            all += usize::from(is_fixed);
            hits += usize::from(right == Some(true));
            rows.push(row(&format!("{name} {}", at + 1), predicted.as_deref(), is.as_deref(), right));
        }
    }
    Comparison { rows, fraction: share(hits, all) }
}

#[cfg(test)]
mod tests {
    use super::super::question::Kind;
    use super::*;

    fn fraction(kind: Kind, said: &str, measured: &[&str]) -> f64 {
        let measured: Vec<Answer> = measured.iter().map(|text| Answer::parse(kind, text).unwrap()).collect();
        compare(&Answer::parse(kind, said).unwrap(), &measured, Tolerance::Absolute(0.0)).fraction
    }

    #[test]
    fn a_set_loses_for_what_is_missing_and_for_what_is_too_much() {
        assert_eq!(fraction(Kind::Set, "0, 1", &["0, 1"]), 1.0);
        assert_eq!(fraction(Kind::Set, "0", &["0, 1"]), 0.5);
        assert_eq!(fraction(Kind::Set, "0, 1, 2", &["0, 1"]), 0.5);
        assert_eq!(fraction(Kind::Set, "2, 3", &["0, 1"]), 0.0);
        assert_eq!(fraction(Kind::Set, "none", &["none"]), 1.0);
    }

    #[test]
    fn where_reality_varies_only_what_never_does_counts() {
        assert_eq!(fraction(Kind::Order, "a, b, c", &["a, b, c", "a, c, b"]), 1.0);
        assert_eq!(fraction(Kind::Order, "a, c, b", &["a, b, c", "a, c, b"]), 1.0);
        assert_eq!(fraction(Kind::Order, "b, a, c", &["a, b, c", "a, c, b"]), 0.5);
        assert_eq!(fraction(Kind::Grid, "A: R R; B: X Z", &["A: R R; B: R Z", "A: R R; B: B Z"]), 1.0);
        assert_eq!(fraction(Kind::Set, "1", &["1, 2", "1"]), 1.0);
    }

    #[test]
    fn a_tree_and_a_grid_count_cell_by_cell() {
        assert_eq!(fraction(Kind::Tree, "B: A, C: A", &["B: A, C: B"]), 0.5);
        assert_eq!(fraction(Kind::Tree, "B: A, C: B, D: A", &["B: A, C: B"]), 0.5);
        assert_eq!(fraction(Kind::Grid, "A: r r", &["A: R R; B: R Z"]), 0.5);
    }

    #[test]
    fn a_number_may_be_off_by_its_tolerance() {
        let is = [Answer::Number(100.0), Answer::Number(104.0), Answer::Number(180.0)];
        let off = |said: f64, text: &str| {
            compare(&Answer::Number(said), &is, Tolerance::parse(text).unwrap()).fraction
        };
        assert_eq!(
            [off(110.0, "10%"), off(115.0, "10%"), off(103.0, "1"), off(102.0, "1")],
            [1.0, 0.0, 1.0, 0.0]
        );
        assert_eq!(Tolerance::parse("-1"), None);
    }
}
