use super::world::State;
use super::*;
#[allow(missing_docs)]
pub fn try_random(
    argv: Vec<String>,
    dir: std::path::PathBuf,
    root: std::path::PathBuf,
    n: usize,
    verbose: bool,
) {
    use std::collections::BTreeMap;
    let command = Command { argv, directory: Some(dir.clone()), limits: Limits::default(), timeouts: false };
    let tree = read_tree(&dir, command.limits.folder).unwrap();
    let mut m = Machine::new(&command, root, tree).unwrap();
    let mut seed = 88172645463325252u64;
    let mut seen: BTreeMap<Outcome, usize> = BTreeMap::new();
    let t = std::time::Instant::now();
    for _ in 0..n {
        m.begin().unwrap();
        let mut steps = 0;
        loop {
            let ready: Vec<usize> = (0..m.world.tasks.len())
                .filter(|i| {
                    let t = &m.world.tasks[*i];
                    t.state == State::Woken || t.state == State::Entry && t.plan.as_ref().unwrap().ready
                })
                .collect();
            if ready.is_empty() || m.world.cut.is_some() {
                break;
            }
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let i = ready[(seed % ready.len() as u64) as usize];
            let name = m.world.tasks[i].name.clone();
            let touches = m.world.tasks[i]
                .plan
                .as_ref()
                .unwrap()
                .touches
                .iter()
                .map(|t| format!("{:?} {}", t.access, t.object))
                .collect::<Vec<_>>();
            let seen = m.go(i).unwrap();
            steps += 1;
            if verbose {
                println!("{name}: {seen}   [{}]", touches.join(", "));
            }
        }
        let limits = m.world.limits.folder;
        let o = super::outcome::observe(&mut m.world, limits);
        if verbose {
            println!("{steps} steps {o:?} {:?}", m.world.uncontrolled);
        }
        *seen.entry(o).or_default() += 1;
    }
    println!("{:.2} ms each", t.elapsed().as_secs_f64() * 1e3 / n as f64);
    for (o, n) in seen {
        println!(
            "{n}: ends {:?} deadlock {:?} cut {:?} out {:?} files {:?}",
            o.ends,
            o.deadlock,
            o.cut,
            o.stdout
                .iter()
                .chain(&o.stderr)
                .map(|(k, v)| (k.clone(), String::from_utf8_lossy(v).into_owned()))
                .collect::<Vec<_>>(),
            o.files
                .iter()
                .map(|(k, e)| (
                    k.clone(),
                    match &e.kind {
                        Kind::File(c) => String::from_utf8_lossy(c).chars().take(40).collect::<String>(),
                        k => format!("{k:?}"),
                    }
                ))
                .collect::<Vec<_>>()
        );
    }
    println!("{:?}", m.world.uncontrolled);
}
