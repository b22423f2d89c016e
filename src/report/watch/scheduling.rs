//! The figures that courses ask for: turnaround, response, waiting, utilisation, throughput, fairness.

use super::model::{ProcessReport, Scheduling, WatchReport};
use super::numbers::short;

/// The figures for the processes of a report.
pub(super) fn scheduling(processes: &[ProcessReport], wall_ns: u64, cpus: u64) -> Scheduling {
    let whole: Vec<&ProcessReport> =
        processes.iter().filter(|process| !process.found && process.ended_ns.is_some()).collect();
    let n = whole.len() as u64;
    let average = |of: &dyn Fn(&ProcessReport) -> u64| {
        whole.iter().map(|process| of(process)).sum::<u64>().checked_div(n).unwrap_or(0)
    };
    let responses: Vec<u64> = whole.iter().filter_map(|process| process.response_ns).collect();
    let used_ns: u64 = processes.iter().map(|process| process.cpu_ns).sum();
    let wall = wall_ns.max(1) as f64;
    Scheduling {
        processes: n,
        turnaround_ns: average(&|process| process.life_ns),
        response_ns: (!responses.is_empty()).then(|| responses.iter().sum::<u64>() / responses.len() as u64),
        waiting_ns: average(&|process| process.ready_ns),
        cpu_ns: average(&|process| process.running_ns),
        io_ns: average(&|process| process.blocked_ns + process.stopped_ns),
        utilisation: used_ns as f64 / (wall * cpus as f64),
        cpus,
        throughput: n as f64 / (wall / 1e9),
        fairness: fairness(processes),
    }
}

fn fairness(processes: &[ProcessReport]) -> f64 {
    let wanted = |process: &&ProcessReport| process.running_ns + process.ready_ns > 0;
    let share =
        |process: &ProcessReport| process.running_ns as f64 / (process.running_ns + process.ready_ns) as f64;
    let shares: Vec<f64> = processes.iter().filter(wanted).map(share).collect();
    let squares: f64 = shares.iter().map(|share| share * share).sum();
    let sum: f64 = shares.iter().sum();
    if squares == 0.0 { 1.0 } else { sum * sum / (shares.len() as f64 * squares) }
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
