//! The figures that courses ask for: turnaround, response, waiting, utilisation, throughput, fairness.

use super::model::{ProcessReport, Scheduling, WatchReport};
use super::numbers::short;
use crate::observe::timeline::{Folded, Shares};

/// The figures for the processes of a report and those that are only counted.
pub(super) fn scheduling(
    processes: &[ProcessReport],
    folded: &Folded,
    wall_ns: u64,
    cpus: u64,
) -> Scheduling {
    let whole: Vec<&ProcessReport> =
        processes.iter().filter(|process| !process.found && process.ended_ns.is_some()).collect();
    let others = folded.whole;
    let n = whole.len() as u64 + others.n;
    let average = |of: &dyn Fn(&ProcessReport) -> u64, of_others: u64| {
        let all = whole.iter().map(|process| of(process)).sum::<u64>() + of_others;
        all.checked_div(n).unwrap_or(0)
    };
    let responses: Vec<u64> = whole.iter().filter_map(|process| process.response_ns).collect();
    let n_responses = responses.len() as u64 + others.n_responses;
    let response_ns = responses.iter().sum::<u64>() + others.response_ns;
    let used_ns = processes.iter().map(|process| process.cpu_ns).sum::<u64>() + folded.sums.running_ns;
    let wall = wall_ns.max(1) as f64;
    Scheduling {
        processes: n,
        turnaround_ns: average(&|process| process.life_ns, others.life_ns),
        response_ns: response_ns.checked_div(n_responses),
        waiting_ns: average(&|process| process.ready_ns, others.sums.ready_ns),
        cpu_ns: average(&|process| process.running_ns, others.sums.running_ns),
        io_ns: average(
            &|process| process.blocked_ns + process.stopped_ns,
            others.sums.blocked_ns + others.sums.stopped_ns,
        ),
        utilisation: used_ns as f64 / (wall * cpus as f64),
        cpus,
        throughput: n as f64 / (wall / 1e9),
        fairness: fairness(processes, folded.shares),
    }
}

fn fairness(processes: &[ProcessReport], mut shares: Shares) -> f64 {
    processes.iter().for_each(|process| shares.add(process.running_ns, process.ready_ns));
    if shares.squares == 0.0 { 1.0 } else { shares.sum * shares.sum / (shares.n as f64 * shares.squares) }
}

/// The figures, in one line.
pub(super) fn line(report: &WatchReport) -> String {
    let of = &report.scheduling;
    if of.processes == 0 {
        return String::new();
    }
    let response = of.response_ns.map_or(String::new(), |ns| format!(", response {}", short(ns)));
    let sums = if of.processes == 1 { "scheduling" } else { "scheduling, on average" };
    format!(
        "{sums}: turnaround {}{response}, waiting {}, CPU {}, blocked {}; {:.0} % of {} CPUs, {:.1} processes per second, fairness {:.2}\n",
        short(of.turnaround_ns),
        short(of.waiting_ns),
        short(of.cpu_ns),
        short(of.io_ns),
        of.utilisation * 100.0,
        of.cpus,
        of.throughput,
        of.fairness,
    )
}
