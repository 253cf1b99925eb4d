//! Many schedules, one after the other, until one breaks a promise; that one is made small and can be run again.
//!
//! Which schedules are played depends on numbers only: seed `n` is played on fixture `n % fixtures`, and begins before the
//! first deployment when `n / fixtures` is even, after it when it is odd.

use crate::cluster::Cluster;
use crate::coverage::Coverage;
use crate::fixtures;
use crate::oracle::Broken;
use crate::schedule::{self, Step};
use crate::shrink::shrink;

/// A schedule that broke a promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Fixture that it was played on.
    pub fixture: &'static str,
    /// Seed that made it.
    pub seed: u64,
    /// What was broken.
    pub broken: Broken,
    /// The smallest schedule found that breaks the same promise.
    pub steps: Vec<Step>,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "{}, seed {}: {}: {}",
            self.fixture, self.seed, self.broken.promise, self.broken.seen
        )?;
        writeln!(
            f,
            "run it again: replay(\"{}\", {}, &[",
            self.fixture, self.seed
        )?;
        for step in &self.steps {
            writeln!(f, "    {step:?},")?;
        }
        write!(f, "])")
    }
}

/// Length of a random schedule.
const LENGTH: usize = 100;

/// The fixture that a seed is played on.
#[must_use]
pub fn fixture(seed: u64) -> &'static str {
    let names = fixtures::NAMES;
    let index = usize::try_from(seed % names.len() as u64).unwrap_or(0);
    names.get(index).copied().unwrap_or_default()
}

/// The cluster that the schedule of a seed is played on.
#[must_use]
pub fn cluster(fixture: &str, seed: u64) -> Cluster {
    let round = seed / fixtures::NAMES.len() as u64;
    if round.is_multiple_of(2) {
        fixtures::cluster(fixture)
    } else {
        fixtures::deployed(fixture)
    }
}

/// Plays the schedule of a seed; returns what occurred.
///
/// # Errors
/// With the shrunk schedule when a promise is broken.
pub fn one(seed: u64) -> Result<Coverage, Box<Failure>> {
    let fixture = fixture(seed);
    one_on(&cluster(fixture, seed), fixture, seed)
}

/// Plays the schedule of a seed on a copy of a given cluster.
///
/// # Errors
/// With the shrunk schedule when a promise is broken.
pub fn one_on(
    cluster: &Cluster,
    fixture: &'static str,
    seed: u64,
) -> Result<Coverage, Box<Failure>> {
    let steps = schedule::random(seed, LENGTH);
    let play = |steps: &[Step]| {
        let mut cluster = cluster.clone();
        schedule::play(&mut cluster, steps).map(|()| cluster.coverage)
    };
    play(&steps).map_err(|(length, broken)| {
        let steps = steps.get(..length).unwrap_or(&steps);
        let broken_by = |steps: &[Step]| play(steps).err().map(|(_, broken)| broken);
        let steps = shrink(steps, &broken, broken_by);
        let broken = broken_by(&steps).unwrap_or(broken);
        Box::new(Failure {
            fixture,
            seed,
            broken,
            steps,
        })
    })
}

/// Plays a given schedule on the cluster that a fixture and a seed have.
///
/// # Errors
/// With the promise that it breaks.
pub fn replay(fixture: &str, seed: u64, steps: &[Step]) -> Result<Coverage, Broken> {
    let mut cluster = cluster(fixture, seed);
    schedule::play(&mut cluster, steps)
        .map(|()| cluster.coverage)
        .map_err(|(_, broken)| broken)
}
