//! dev
#[global_allocator]
static A: mimalloc::MiMalloc = mimalloc::MiMalloc;
use std::collections::BTreeMap;
fn main() {
    if std::env::var("REPLAY").is_ok() {
        return replay();
    }
    let n: u64 = std::env::args().nth(1).unwrap().parse().unwrap();
    let only = std::env::args().nth(2);
    let began = std::time::Instant::now();
    let mut per: BTreeMap<&str, (u64, u64, std::time::Duration)> = BTreeMap::new();
    let mut total = 0;
    let mut all = sluice_simulation::coverage::Coverage::default();
    for number in 0..n {
        let f = sluice_simulation::soak::fixture(number);
        if only.as_deref().is_some_and(|o| o != f) {
            continue;
        }
        let t = std::time::Instant::now();
        match sluice_simulation::soak::one(number) {
            Ok(c) => {
                let e = per.entry(f).or_default();
                e.0 += 1;
                e.1 += c.all_decisions();
                e.2 += t.elapsed();
                total += c.all_decisions();
                all.add(&c);
            }
            Err(failure) => {
                println!("{failure}");
                if std::env::var("GO").is_err() {
                    break;
                }
            }
        }
    }
    for (f, (s, d, t)) in per {
        println!(
            "{f:25} {s:6} {d:8} {:.1} us",
            t.as_micros() as f64 / d as f64
        );
    }
    let stat = std::fs::read_to_string("/proc/self/schedstat").unwrap();
    let ns: f64 = stat.split(' ').next().unwrap().parse().unwrap();
    println!(
        "{:.2} s CPU, {:.1} us a decision",
        ns / 1e9,
        ns / 1e3 / total as f64
    );
    println!(
        "{total} decisions, {:.0}/s",
        total as f64 / began.elapsed().as_secs_f64()
    );
    println!("{all:#?}");
}

fn replay() {
    let seed: u64 = std::env::var("REPLAY").unwrap().parse().unwrap();
    let f = sluice_simulation::soak::fixture(seed);
    let failure = match sluice_simulation::soak::one(seed) {
        Err(f) => f,
        Ok(_) => {
            println!("fine");
            return;
        }
    };
    println!("{failure}");
    let mut cluster = sluice_simulation::soak::cluster(f, seed);
    cluster.controller.events.clear();
    println!(
        "{:?}",
        sluice_simulation::schedule::play(&mut cluster, &failure.steps)
    );
    println!(
        "{}",
        serde_json::to_string_pretty(&cluster.rollout().unwrap()["status"]).unwrap()
    );
    println!(
        "spec replicas {} {}",
        cluster.rollout().unwrap()["spec"]["replicas"],
        cluster.store.now
    );
    for k in [
        "ReplicaSet",
        "Service",
        "HTTPRoute",
        "AnalysisRun",
        "Experiment",
    ] {
        for s in cluster.store.list(k) {
            println!(
                "{k} {} spec {} labels {} ann {} status {}",
                s["metadata"]["name"],
                if k == "ReplicaSet" {
                    &s["spec"]["replicas"]
                } else {
                    &s["spec"]
                },
                s["metadata"]["labels"],
                s["metadata"]["annotations"],
                s["status"]
            );
        }
    }
    for e in &cluster.controller.events {
        println!("{} {} {}", e.0, e.1.reason, e.1.message);
    }
}
