//! The list of all labs, with what is done.

use std::path::Path;

use crate::lab::card::Part;
use crate::lab::lang::Lang;
use crate::lab::loaded::Lab;
use crate::lab::progress::{Done, Store};
use crate::serve::protocol::LabLine;

/// All labs in a line each.
pub(in crate::serve) fn list(labs: Option<&Path>, lang: Lang) -> Vec<LabLine> {
    let store = store();
    let line = |lab: Result<Lab, _>| match lab {
        Err(error) => {
            let error: crate::lab::loaded::LoadError = error;
            LabLine { error: Some(error.to_string()), ..LabLine::default() }
        }
        Ok(lab) => {
            let done = kept(store.as_ref(), &lab.name);
            let of = |part: &Part| done.parts.get(part.id());
            LabLine {
                title: lab.sheet(lang).title.clone(),
                minutes: lab.card.minutes,
                max: lab.card.points(),
                score: lab.card.parts.iter().filter_map(of).map(|part| part.best).sum(),
                parts: lab.card.parts.len(),
                right: lab.card.parts.iter().filter_map(of).filter(|part| part.right).count(),
                missing: lab.missing().into_iter().map(str::to_owned).collect(),
                name: lab.name,
                error: None,
            }
        }
    };
    match Lab::all(labs) {
        Ok(all) => all.into_iter().map(line).collect(),
        Err(error) => vec![LabLine { error: Some(error.to_string()), ..LabLine::default() }],
    }
}

pub(super) fn store() -> Option<Store> {
    Store::of_environment(|name| std::env::var_os(name))
}

pub(super) fn kept(store: Option<&Store>, lab: &str) -> Done {
    store.and_then(|store| store.load(lab).ok()).unwrap_or_default()
}
