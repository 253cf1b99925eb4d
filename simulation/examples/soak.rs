//! dev
#[global_allocator]
static A: mimalloc::MiMalloc = mimalloc::MiMalloc;
use std::collections::BTreeMap;
fn main() {
    if std::env::var("REPLAY").is_ok() { return replay(); }
    let n: u64 = std::env::args().nth(1).unwrap().parse().unwrap();
    let only = std::env::args().nth(2);
    let began = std::time::Instant::now();
    let mut per: BTreeMap<&str, (u64, u64, std::time::Duration)> = BTreeMap::new();
    let mut total = 0;
    let mut all = sluice_simulation::coverage::Coverage::default();
    for number in 0..n {
        let f = sluice_simulation::soak::fixture(number);
        if only.as_deref().is_some_and(|o| o != f) { continue; }
        let t = std::time::Instant::now();
        match sluice_simulation::soak::one(number) {
            Ok(c) => { let e = per.entry(f).or_default(); e.0 += 1; e.1 += c.all_decisions(); e.2 += t.elapsed(); total += c.all_decisions(); all.add(&c); }
            Err(failure) => { println!("{failure}"); if std::env::var("GO").is_err() { break } }
        }
    }
    for (f, (s, d, t)) in per { println!("{f:25} {s:6} {d:8} {:.1} us", t.as_micros() as f64 / d as f64); }
    let stat = std::fs::read_to_string("/proc/self/schedstat").unwrap();
    let ns: f64 = stat.split(' ').next().unwrap().parse().unwrap();
    println!("{:.2} s CPU, {:.1} us a decision", ns / 1e9, ns / 1e3 / total as f64);
    println!("{total} decisions, {:.0}/s", total as f64 / began.elapsed().as_secs_f64());
    println!("{all:#?}");
}

use sluice_simulation::schedule::{Step::*, *};
fn replay() {
    let steps = [
    Order(sluice_simulation::schedule::Order::Image(4)),
    CatchUp,
    Pass { nth: 4, fault: None },
    Order(sluice_simulation::schedule::Order::Promote),
    Order(sluice_simulation::schedule::Order::Promote),
    Order(sluice_simulation::schedule::Order::Promote),
    ];
    let mut cluster = sluice_simulation::soak::cluster("workload-on-success", 858);
    for s in steps { cluster.step(s).unwrap(); }
    println!("{:?}", cluster.come_to_rest());
    println!("{}", serde_json::to_string_pretty(cluster.rollout().unwrap()).unwrap());
    for s in cluster.store.list("ReplicaSet") { println!("{s}"); }
    for e in &cluster.controller.events { println!("{e:?}"); }
}
