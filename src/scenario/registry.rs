//! The list of scenarios, and what is derived from it.

use std::borrow::Cow;
use std::sync::Arc;

use schemars::generate::SchemaGenerator;
use schemars::{JsonSchema, Schema, json_schema};

#[cfg(test)]
use super::counter;
use super::entry::{Entry, Raced};
use super::experiment::{Experiment, Subject};
use super::run::record::Detail;
use super::{eval, full, life, pipeline, tickets};

/// Every scenario, in the order of `proclab list`.
pub static SCENARIOS: &[&dyn Entry] = &[
    &Raced::<tickets::Tickets>::NEW,
    &Raced::<pipeline::Pipeline>::NEW,
    &eval::Eval,
    &full::Full,
    &life::Life,
    #[cfg(test)]
    &Raced::<counter::Counter>::NEW,
];

/// The scenario with this name.
pub fn find(name: &str) -> Option<&'static dyn Entry> {
    SCENARIOS.iter().copied().find(|entry| entry.name() == name)
}

/// The experiment with this code.
pub fn from_code(code: &str) -> Option<Arc<dyn Experiment>> {
    SCENARIOS.iter().find_map(|entry| entry.parse_code(code))
}

/// The schema lists every scenario with its parameters.
impl JsonSchema for Subject {
    fn schema_name() -> Cow<'static, str> {
        "Subject".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = |entry: &&dyn Entry, generator: &mut SchemaGenerator| {
            let parameters = entry.parameters(generator)?;
            let name = json_schema!({
                "type": "object",
                "properties": { "scenario": { "const": entry.name() } },
                "required": ["scenario"],
            });
            Some(json_schema!({ "allOf": [name, parameters] }))
        };
        let all: Vec<Schema> = SCENARIOS.iter().filter_map(|entry| one(entry, generator)).collect();
        json_schema!({ "oneOf": all })
    }
}

/// The schema lists the fields of each scenario.
impl JsonSchema for Detail {
    fn schema_name() -> Cow<'static, str> {
        "Detail".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let all: Vec<Schema> = SCENARIOS.iter().map(|entry| entry.detail(generator)).collect();
        json_schema!({ "anyOf": all })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_codes_are_rejected() {
        let malformed =
            ["", "t", "t2", "t2k1", "t2k1.zz", "t02k1.no", "t27k1.no", "t2k1.no.x", "t2k1.no.", "x2k1.no"];
        for code in malformed {
            assert!(from_code(code).is_none(), "{code}");
        }
        assert_eq!(from_code("p1.2.2.1.1").unwrap().scenario(), "pipeline");
    }

    #[test]
    fn no_two_scenarios_share_a_name() {
        let mut names: Vec<&str> = SCENARIOS.iter().map(|entry| entry.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), SCENARIOS.len());
    }
}
