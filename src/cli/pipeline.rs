//! The arguments of `proclab run pipeline`.

use super::fault::Fault;
use super::run::{Common, Method};
use crate::scenario::pipeline::run::{EndBy, Pipeline};
use clap::{Args, ValueEnum};
use std::time::Duration;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  proclab run pipeline --end none --sentinels 1        one None too few: who waits for ever?\n  proclab run pipeline --kill consumer-1@5             what is lost\n  proclab run pipeline --kill consumer-1@5 --leases    nothing is"
)]
pub(super) struct PipelineArgs {
    /// How many processes produce
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=200))]
    producers: u16,
    /// How many processes consume
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=200))]
    consumers: u16,
    /// How many items each producer makes
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    items: u64,
    /// How many items the queue holds
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    capacity: u32,
    /// What is made
    #[arg(long, default_value = "火锅")]
    food: String,
    /// How long it takes to make one
    #[arg(long, value_name = "MS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(..=60_000))]
    produce: u64,
    /// How long it takes to eat one
    #[arg(long, value_name = "MS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(..=60_000))]
    consume: u64,
    /// How the consumers learn that it is over
    #[arg(long, value_enum, default_value_t = EndArg::Close)]
    end: EndArg,
    /// With `--end none`: how many Nones are put, instead of one for each consumer
    #[arg(long, value_name = "N")]
    sentinels: Option<u16>,
    /// Kill a consumer as it takes its so-manieth item, as in consumer-1@5
    #[arg(long, value_name = "CONSUMER@N", value_parser = kill_point)]
    kill: Option<(usize, u64)>,
    /// Have consumers take leases, so that nothing is lost with them
    #[arg(long)]
    leases: bool,
    /// How processes are started
    #[arg(long, value_enum, default_value_t = Method::Spawn)]
    start_method: Method,
    #[command(flatten)]
    pub(super) common: Common,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum EndArg {
    /// The last producer goes, and the queue says so
    Close,
    /// A None for each consumer, as in the notes
    None,
    /// The parent waits until all is done, then closes the queue
    Joinable,
}

impl PipelineArgs {
    pub(super) fn pipeline(self) -> Result<Pipeline, Fault> {
        let end = match self.end {
            EndArg::Close => EndBy::Close,
            EndArg::None => EndBy::None,
            EndArg::Joinable => EndBy::Joinable,
        };
        if self.sentinels.is_some() && end != EndBy::None {
            return Err(Fault::bad_arguments("only --end none puts Nones").hint("add --end none"));
        }
        if let Some((consumer, _)) = self.kill
            && consumer >= usize::from(self.consumers)
        {
            let what = format!("there is no consumer-{consumer} to kill");
            return Err(Fault::bad_arguments(what).hint("consumers are counted from consumer-0"));
        }
        Ok(Pipeline {
            producers: self.producers.into(),
            consumers: self.consumers.into(),
            items: self.items,
            capacity: self.capacity as usize,
            food: self.food,
            produce: Duration::from_millis(self.produce),
            consume: Duration::from_millis(self.consume),
            end,
            sentinels: self.sentinels.unwrap_or(self.consumers).into(),
            kill: self.kill,
            leases: self.leases,
            start_method: self.start_method.into(),
        })
    }
}

/// `consumer-1@5`: the consumer's number, and at which item.
fn kill_point(text: &str) -> Result<(usize, u64), String> {
    text.strip_prefix("consumer-")
        .and_then(|rest| rest.split_once('@'))
        .and_then(|(consumer, nth)| Some((consumer.parse().ok()?, nth.parse().ok().filter(|nth| *nth > 0)?)))
        .ok_or_else(|| "write it as consumer-1@5".to_owned())
}
