//! What many free runs showed: rates with intervals, durations, waiting and fairness.

use std::fmt::Write;

use comfy_table::{ContentArrangement, Table};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::chart::{Chart, Interval, STYLE, Series, escape};
use super::witness::RULED;
use crate::explore::statistics::{jain, quantile, wilson};
use crate::scenario::experiment::Subject;
use crate::scenario::run::verdict::Verdict;

/// Free runs of one experiment.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Trials {
    /// What was run.
    #[serde(flatten)]
    pub subject: Subject,
    /// How many runs came to a verdict.
    pub trials: u64,
    /// Whether the trials were broken off (Ctrl-C) before all of them were run.
    pub interrupted: bool,
    /// How many could not be run; they are in no rate.
    pub could_not_run: u64,
    /// Why the last of these could not.
    pub reason: Option<String>,
    /// The outcomes of the runs, the worst first.
    pub outcomes: Vec<Rate>,
    /// How long a run took, in microseconds.
    pub duration_us: Option<Spread>,
    /// What each process is, in the order of their letters.
    pub roles: Vec<String>,
    /// How long each process waited for others in a run, in microseconds.
    pub waited_us: Vec<Option<Spread>>,
    /// Jain's index of the processes' mean waits: 1 if all waited alike.
    pub fairness: f64,
}

/// How often something came out.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Rate {
    /// What.
    pub verdict: Verdict,
    /// In how many trials.
    pub count: u64,
    /// The share of the trials.
    pub rate: f64,
    /// The lower end of the 95 % Wilson interval.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

/// Where values lie.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Spread {
    /// The smallest.
    pub min: f64,
    /// A quarter are below.
    pub q1: f64,
    /// Half are below.
    pub median: f64,
    /// A quarter are above.
    pub q3: f64,
    /// The largest.
    pub max: f64,
}

/// One run, as it is exported.
#[derive(Clone, Debug)]
pub struct Run {
    /// The outcome.
    pub verdict: Verdict,
    /// How long it took, in microseconds.
    pub duration_us: f64,
    /// How long each process waited for others; `None` for one that did not end.
    pub waited_us: Vec<Option<f64>>,
}

impl Spread {
    /// Of `values`, in any order; `None` if there are none.
    pub fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let at = |share| quantile(&values, share);
        Some(Self { min: at(0.0)?, q1: at(0.25)?, median: at(0.5)?, q3: at(0.75)?, max: at(1.0)? })
    }
}

impl Trials {
    /// Sums up `runs` by processes of these roles, and those that could not be run; `interrupted` if more were to come.
    pub fn new(
        subject: Subject,
        roles: &[&str],
        runs: &[Run],
        failures: &[String],
        interrupted: bool,
    ) -> Self {
        let trials = runs.len() as u64;
        let rate = |verdict| {
            let count = runs.iter().filter(|run| run.verdict == verdict).count() as u64;
            let (low, high) = wilson(count, trials);
            Rate { verdict, count, rate: count as f64 / trials.max(1) as f64, low, high }
        };
        // What is hoped for, what is feared, and all else that was seen.
        let feared = (!roles.contains(&"main")).then_some(Verdict::Oversold);
        let outcomes = Verdict::ALL
            .into_iter()
            .rev()
            .map(rate)
            .filter(|rate| rate.count > 0 || rate.verdict == Verdict::Ok || Some(rate.verdict) == feared);
        let waits: Vec<Vec<f64>> = (0..roles.len())
            .map(|process| {
                runs.iter().filter_map(|run| run.waited_us.get(process).copied().flatten()).collect()
            })
            .collect();
        let mean = |waits: &Vec<f64>| waits.iter().sum::<f64>() / waits.len().max(1) as f64;
        let means: Vec<_> = waits.iter().map(mean).collect();
        Self {
            subject,
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            trials,
            interrupted,
            could_not_run: failures.len() as u64,
            reason: failures.last().cloned(),
            outcomes: outcomes.collect(),
            duration_us: Spread::of(runs.iter().map(|run| run.duration_us).collect()),
            waited_us: waits.into_iter().map(Spread::of).collect(),
            fairness: jain(&means),
        }
    }

    /// Whether every trial was right.
    pub fn is_right(&self) -> bool {
        self.outcomes.iter().all(|outcome| outcome.verdict == Verdict::Ok || outcome.count == 0)
    }

    /// The text, at most `width` columns wide.
    pub fn text(&self, width: u16) -> String {
        let mut text = format!("{} {}\n", self.subject.scenario, self.subject.options);
        let interrupted = if self.interrupted { ", then interrupted" } else { "" };
        let _ = writeln!(text, "{} trials, all processes let go at once{interrupted}", self.trials);
        if let Some(reason) = &self.reason {
            let _ = writeln!(text, "{} more could not be run, the last because {reason}", self.could_not_run);
        }
        let mut table = ruled(width, &["outcome", "trials", "rate", "95 % interval"]);
        for rate in &self.outcomes {
            table.add_row([
                rate.verdict.to_string(),
                rate.count.to_string(),
                percent(rate.rate),
                format!("{} to {}", percent(rate.low), percent(rate.high)),
            ]);
        }
        lines(&table, &mut text);
        for rate in self.outcomes.iter().filter(|rate| rate.count == 0 && rate.verdict != Verdict::Ok) {
            let _ = writeln!(
                text,
                "{} in 0 of {} trials: the rate is below about {} (3/n), if trials are independent",
                rate.verdict,
                self.trials,
                percent((3.0 / self.trials.max(1) as f64).min(1.0))
            );
        }
        if let Some(spread) = &self.duration_us {
            let _ = writeln!(text, "a run takes {}", spread.words());
        }
        for (process, (spread, role)) in self.waited_us.iter().zip(&self.roles).enumerate() {
            if let Some(spread) = spread {
                let name = crate::explore::step::letter(process);
                let _ = writeln!(text, "{role} {name} waits for others {}", spread.words());
            }
        }
        let _ = writeln!(text, "fairness of the waits (Jain's index): {:.3}", self.fairness);
        text.push_str(
            "a rate is how often chance found something here and now: it is no share of the schedules, and \
             that is no rate (proclab explore counts them)\n",
        );
        text
    }
}

impl Spread {
    fn words(&self) -> String {
        format!(
            "{} in the median, half of them {} to {}, at most {}",
            micros(self.median),
            micros(self.q1),
            micros(self.q3),
            micros(self.max)
        )
    }
}

/// One row of a sweep.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Swept {
    /// The value of the parameter.
    pub value: String,
    /// What its trials showed.
    #[serde(flatten)]
    pub trials: Trials,
}

/// The same trials for several values of one parameter.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Sweep {
    /// The parameter.
    pub parameter: String,
    /// Its values, in the order given.
    pub rows: Vec<Swept>,
}

const PAGE_STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;margin:1.2rem auto;max-width:62rem;\
padding:0 1rem;color:var(--ink);background:var(--back)}h1{font-size:1.3rem}h2{font-size:1.05rem;margin:1.6rem 0 .2rem}\
.soft{color:var(--soft);margin:.2rem 0}pre{overflow-x:auto;font-size:.85rem}";

impl Sweep {
    /// The table, at most `width` columns wide.
    pub fn text(&self, width: u16) -> String {
        let verdicts = self.verdicts();
        let heads: Vec<String> = [self.parameter.clone(), "trials".into()]
            .into_iter()
            .chain(verdicts.iter().map(|verdict| format!("{verdict} (95 % interval)")))
            .chain(["median run".to_owned(), "fairness".to_owned()])
            .collect();
        let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
        let mut table = ruled(width, &heads);
        for row in &self.rows {
            let mut cells = vec![row.value.clone(), row.trials.trials.to_string()];
            for verdict in &verdicts {
                cells.push(row.rate(*verdict).map_or_else(String::new, |rate| {
                    format!("{} ({} to {})", percent(rate.rate), percent(rate.low), percent(rate.high))
                }));
            }
            cells.push(row.trials.duration_us.as_ref().map_or(String::new(), |spread| micros(spread.median)));
            cells.push(format!("{:.3}", row.trials.fairness));
            table.add_row(cells);
        }
        let mut text = String::new();
        lines(&table, &mut text);
        if self.rows.iter().any(|row| row.trials.interrupted) {
            text.push_str("interrupted: the last row has fewer trials, and other values were not tried\n");
        }
        text.push_str("a rate is no share of the schedules, and that is no rate\n");
        text
    }

    /// One page with both charts and the table, which needs no network and runs no script.
    pub fn html(&self) -> String {
        let title = format!("Free runs of {}, by {}", self.scenario(), self.parameter);
        let categories = || self.rows.iter().map(|row| row.value.clone()).collect::<Vec<_>>();
        let percent = |rate: Rate| Interval {
            low: rate.low * 100.0,
            value: rate.rate * 100.0,
            high: rate.high * 100.0,
        };
        let series = |verdict: Verdict| Series {
            name: verdict.to_string(),
            points: self.rows.iter().map(|row| row.rate(verdict).map(percent)).collect(),
        };
        let rates = Chart {
            title: "How often each outcome occurred".into(),
            x_label: self.parameter.clone(),
            y_label: "% of trials".into(),
            y_max: Some(100.0),
            categories: categories(),
            series: self.verdicts().into_iter().map(series).collect(),
        };
        let millis = |spread: &Spread| Interval {
            low: spread.q1 / 1e3,
            value: spread.median / 1e3,
            high: spread.q3 / 1e3,
        };
        let durations = Chart {
            title: "How long a run took".into(),
            x_label: self.parameter.clone(),
            y_label: "ms, median and quartiles".into(),
            y_max: None,
            categories: categories(),
            series: vec![Series {
                name: "a run".into(),
                points: self.rows.iter().map(|row| row.trials.duration_us.as_ref().map(millis)).collect(),
            }],
        };
        let section = |chart: &Chart, note: &str| {
            format!("<h2>{}</h2><p class=\"soft\">{note}</p>{}", escape(&chart.title), chart.svg())
        };
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <title>{title}</title><style>{STYLE}{PAGE_STYLE}</style></head><body>\n<h1>{title}</h1>\n\
             {}\n{}\n<h2>In numbers</h2><pre>{}</pre>\n</body></html>\n",
            section(&rates, "Lines are 95 % Wilson intervals. A rate is no share of the schedules."),
            section(&durations, "Lines reach from the lower to the upper quartile."),
            escape(&self.text(120)),
            title = escape(&title),
        )
    }

    fn scenario(&self) -> &str {
        self.rows.first().map_or("a scenario", |row| &row.trials.subject.scenario)
    }

    fn verdicts(&self) -> Vec<Verdict> {
        let seen = |verdict: &Verdict| {
            self.rows.iter().any(|row| row.trials.outcomes.iter().any(|rate| rate.verdict == *verdict))
        };
        Verdict::ALL.into_iter().rev().filter(seen).collect()
    }
}

impl Swept {
    /// The rate of `verdict`, also where it never came out.
    fn rate(&self, verdict: Verdict) -> Option<Rate> {
        let found = self.trials.outcomes.iter().find(|rate| rate.verdict == verdict).cloned();
        let trials = self.trials.trials;
        found.or_else(|| {
            let (low, high) = wilson(0, trials);
            (trials > 0).then_some(Rate { verdict, count: 0, rate: 0.0, low, high })
        })
    }
}

/// The head of a file of runs, for `processes` processes.
pub fn csv_head(processes: usize) -> String {
    let waits = (0..processes).map(|process| format!(",waited_{}_us", crate::explore::step::letter(process)));
    format!("parameter,value,trial,verdict,duration_us{}\n", waits.collect::<String>())
}

/// One line of it.
pub fn csv_line(parameter: &str, value: &str, trial: usize, run: &Run, processes: usize) -> String {
    let wait = |process: usize| run.waited_us.get(process).copied().flatten();
    let waits = (0..processes).map(|process| wait(process).map_or(",".to_owned(), |us| format!(",{us:.3}")));
    format!(
        "{parameter},{value},{trial},{},{:.3}{}\n",
        run.verdict,
        run.duration_us,
        waits.collect::<String>()
    )
}

pub(super) fn ruled(width: u16, heads: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(RULED).set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    table.set_header(heads.iter().copied());
    table
}

pub(super) fn lines(table: &Table, text: &mut String) {
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn micros(us: f64) -> String {
    if us < 1000.0 { format!("{us:.0} µs") } else { format!("{:.2} ms", us / 1000.0) }
}
