//! dev
use std::collections::BTreeMap;
fn main() {
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
    println!("{total} decisions, {:.0}/s", total as f64 / began.elapsed().as_secs_f64());
    println!("{all:#?}");
}
