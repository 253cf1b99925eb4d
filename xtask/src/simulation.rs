//! The simulation as a stage of the tests: a number of decisions, on all cores, over all fixtures.
//!
//! Schedules are played in rounds of a fixed size, and whether another round follows is decided between them; so the same
//! number of decisions plays the same schedules with the same totals, whatever the number of threads.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sluice_simulation::coverage::Coverage;
use sluice_simulation::fixtures;
use sluice_simulation::soak::{self, Failure};

use crate::test::Count;

/// Schedules of one round for each fixture. Each round's threads make the fixtures anew.
const ROUND: u64 = 64;

/// When to end.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Limit {
    /// After so many decisions at least.
    Decisions(u64),
    /// At the first end of a round after a moment.
    Until(Instant),
}

/// Schedules and decisions of one fixture.
#[derive(Debug, Clone, Copy, Default)]
struct Share {
    schedules: u64,
    decisions: u64,
}

/// What was played.
#[derive(Debug, Default)]
pub(crate) struct Played {
    shares: BTreeMap<&'static str, Share>,
    coverage: Coverage,
    /// What was broken, the lowest seed first.
    pub(crate) failures: Vec<Failure>,
    took: Duration,
}

impl Played {
    fn decisions(&self) -> u64 {
        self.coverage.all_decisions()
    }

    /// One for each fixture: whether it kept all promises.
    pub(crate) fn count(&self) -> Count {
        let failed = |name: &str| self.failures.iter().any(|it| it.fixture == name);
        let failed = fixtures::NAMES.iter().filter(|name| failed(name)).count();
        Count {
            passed: fixtures::NAMES.len() - failed,
            failed,
        }
    }
}

/// Plays the schedules of the seeds from `from` on, until the limit, or until a round in which one broke a promise.
pub(crate) fn play(from: u64, limit: Limit) -> Played {
    let began = Instant::now();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let size = ROUND * fixtures::NAMES.len() as u64;
    let mut played = Played::default();
    let mut first = from;
    loop {
        let more = match limit {
            Limit::Decisions(wanted) => played.decisions() < wanted,
            Limit::Until(until) => Instant::now() < until,
        };
        if !more || !played.failures.is_empty() {
            break;
        }
        round(&mut played, first, size, threads);
        first += size;
    }
    played.failures.sort_by_key(|failure| failure.seed);
    played.took = began.elapsed();
    played
}

/// Plays one round on several threads.
fn round(played: &mut Played, first: u64, size: u64, threads: usize) {
    let next = AtomicU64::new(first);
    let shared = Mutex::new(std::mem::take(played));
    let work = || {
        let mut own = Played::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + size {
                break;
            }
            match soak::one(seed) {
                Ok(coverage) => {
                    let share = own.shares.entry(soak::fixture(seed)).or_default();
                    share.schedules += 1;
                    share.decisions += coverage.all_decisions();
                    own.coverage.add(&coverage);
                }
                Err(failure) => own.failures.push(*failure),
            }
        }
        let mut all = match shared.lock() {
            Ok(all) => all,
            Err(poisoned) => poisoned.into_inner(),
        };
        for (name, share) in own.shares {
            let sum = all.shares.entry(name).or_default();
            sum.schedules += share.schedules;
            sum.decisions += share.decisions;
        }
        all.coverage.add(&own.coverage);
        all.failures.extend(own.failures);
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
    *played = shared
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
}

impl fmt::Display for Played {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let schedules: u64 = self.shares.values().map(|share| share.schedules).sum();
        let rate = self.decisions() as f64 / self.took.as_secs_f64().max(0.001);
        writeln!(
            f,
            "       {schedules} schedules, {} decisions, {rate:.0} decisions a second",
            self.decisions()
        )?;
        for pair in fixtures::NAMES.chunks(2) {
            for name in pair {
                let share = self.shares.get(name).copied().unwrap_or_default();
                let (schedules, decisions) = (share.schedules, share.decisions);
                write!(f, "       {name:<24}{schedules:>6} {decisions:>8}")?;
            }
            writeln!(f)?;
        }
        for failure in &self.failures {
            writeln!(f, "{failure}")?;
        }
        Ok(())
    }
}
