//! The messages between server, page and workers, as plain data.
//!
//! Times are nanoseconds since the beginning of what is shown.

mod class;
mod explore;
mod lab;
mod program;
mod refusal;
mod request;
mod schedule;
mod watch;
mod wire;

use schemars::JsonSchema;
use serde::Serialize;

use crate::report::net::WireRow;

pub use class::{ClassRequest, ClassView, Question, Vote};
pub use explore::{Growth, NodeView, OutcomeCount, SearchStatus};
pub use lab::{LabLine, LabPart, LabSource, LabView};
pub use program::{
    ProgramEnd, ProgramEnding, ProgramNode, ProgramScene, ProgramSearch, ProgramShortest, ProgramStep,
};
pub use refusal::{Reason, Refusal};
pub use request::{Chosen, Command, JobView, Request};
pub use schedule::{Card, CardState, Ending, Scene, Shortest};
pub use watch::{DeadlockView, LaneView, NoteView, PieceView, Tick, WaitView, WatchBegin, WatchOver};
pub use wire::{WireBegin, WireOver, WirePiece, WireStanding};

/// The version of these messages. A page of another version asks to be loaded again.
pub const VERSION: u32 = 5;

/// A message of a job: an element of the array in the data of an event `job`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Message {
    /// A watch begins, or is reported anew. It replaces everything before it.
    Watch(WatchBegin),
    /// What has changed in a watch.
    Tick(Tick),
    /// The watched program has ended.
    Over(Box<WatchOver>),
    /// The present state of a schedule. It replaces everything before it.
    Scene(Box<Scene>),
    /// A schedule of the command that was given. It replaces everything before it.
    ProgramScene(Box<ProgramScene>),
    /// A search through the schedules of that command. It replaces everything before it.
    ProgramSearch(Box<ProgramSearch>),
    /// What it has found since: nodes and edges are added, everything else replaces what was before.
    ProgramGrowth(Box<ProgramSearch>),
    /// The graph of an exploration as far as it is known. It replaces everything before it.
    Graph(Growth),
    /// What an exploration has found since.
    Growth(Growth),
    /// A lab as it stands. It replaces everything before it.
    Lab(Box<LabView>),
    /// The demo of a network program begins.
    Wire(WireBegin),
    /// What has happened in it since. Rows may come slightly out of order.
    Rows {
        /// Each with its time.
        rows: Vec<WireRow>,
    },
    /// What stands on the wire until it is decided about; replaces the previous one.
    WireStanding(WireStanding),
    /// The demo is over.
    WireOver(WireOver),
    /// The worker cannot continue.
    Failed(Reason),
    /// Messages before this one were left out, because this viewer did not read them in time.
    Skipped,
    /// The job is over; nothing follows.
    End,
}
