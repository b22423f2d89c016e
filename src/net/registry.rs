//! The list of network programs, and the interface that the command line uses.

use crate::net::args::show_defaults;
use crate::net::demo::{DemoError, Stage};
#[cfg(test)]
use crate::net::ping;
use crate::net::program::{End, Program};
use crate::net::{auth, chat, echo, file, frames, sticky, udp, upper};
use clap::{ArgMatches, Command, FromArgMatches, Subcommand};
use std::fmt::Debug;
use std::marker::PhantomData;

/// Every network program, in the recommended order of learning.
pub static PROGRAMS: &[&dyn Entry] = &[
    &Of::<chat::Chat>::NEW,
    &Of::<udp::Udp>::NEW,
    &Of::<sticky::Sticky>::NEW,
    &Of::<frames::Frames>::NEW,
    &Of::<file::File>::NEW,
    &Of::<echo::Echo>::NEW,
    &Of::<upper::Upper>::NEW,
    &Of::<auth::Auth>::NEW,
    #[cfg(test)]
    &Of::<ping::Ping>::NEW,
];

/// The program with this name.
pub fn find(name: &str) -> Option<&'static dyn Entry> {
    PROGRAMS.iter().copied().find(|entry| entry.name() == name)
}

/// A network program as the command line sees it.
pub trait Entry: Debug + Sync {
    /// The name.
    fn name(&self) -> &'static str;

    /// A one-line description.
    fn about(&self) -> &'static str;

    /// The subcommands: one per end, with its arguments.
    fn arguments(&self) -> Command;

    /// The end that `matches`, parsed with [`arguments`](Self::arguments), describe.
    ///
    /// # Errors
    /// If they name no end.
    fn end(&self, matches: &ArgMatches) -> Result<Box<dyn End>, clap::Error>;

    /// Runs both ends on `stage` and checks the result.
    ///
    /// # Errors
    /// If the demo cannot continue.
    fn demo(&self, stage: &mut Stage<'_>) -> Result<(), DemoError>;
}

/// The entry of a [`Program`].
pub struct Of<P>(PhantomData<fn() -> P>);

impl<P: Program> Of<P> {
    /// The entry.
    pub const NEW: Self = Self(PhantomData);
}

impl<P: Program> Debug for Of<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(P::NAME)
    }
}

impl<P: Program> Entry for Of<P> {
    fn name(&self) -> &'static str {
        P::NAME
    }

    fn about(&self) -> &'static str {
        P::ABOUT
    }

    fn arguments(&self) -> Command {
        // Set here, because clap would otherwise use the doc comment of the type of the ends.
        let ends = P::Ends::augment_subcommands(Command::new(P::NAME)).about(P::ABOUT);
        show_defaults(ends, &P::LIMITS)
    }

    fn end(&self, matches: &ArgMatches) -> Result<Box<dyn End>, clap::Error> {
        Ok(Box::new(P::Ends::from_arg_matches(matches)?))
    }

    fn demo(&self, stage: &mut Stage<'_>) -> Result<(), DemoError> {
        P::demo(stage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_programs_share_a_name() {
        let mut names: Vec<&str> = PROGRAMS.iter().map(|entry| entry.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), PROGRAMS.len());
    }
}
