//! Many schedules, one after the other, until one breaks a promise; that one is made small and can be run again.

use crate::fixtures;
use crate::oracle::Broken;
use crate::schedule::{self, Step};
use crate::shrink::shrink;

/// Numbers of a soak.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Played {
    /// Schedules.
    pub schedules: u64,
    /// Decisions of the controller.
    pub decisions: u64,
}

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
        writeln!(f, "run it again: replay(\"{}\", &[", self.fixture)?;
        for step in &self.steps {
            writeln!(f, "    {step:?},")?;
        }
        write!(f, "])")
    }
}

/// Length of a random schedule.
const LENGTH: usize = 120;

/// Plays one random schedule on one fixture; returns the number of decisions.
///
/// # Errors
/// With the shrunk schedule when a promise is broken.
pub fn one(fixture: &'static str, seed: u64) -> Result<u64, Box<Failure>> {
    let steps = schedule::random(seed, LENGTH);
    let mut cluster = fixtures::cluster(fixture);
    match schedule::play(&mut cluster, &steps) {
        Ok(decisions) => Ok(decisions),
        Err((length, broken)) => {
            let steps = steps.get(..length).unwrap_or(&steps);
            let steps = shrink(steps, &broken, |steps| replay(fixture, steps).err());
            let broken = replay(fixture, &steps).err().unwrap_or(broken);
            Err(Box::new(Failure {
                fixture,
                seed,
                broken,
                steps,
            }))
        }
    }
}

/// Plays a given schedule.
///
/// # Errors
/// With the promise that it breaks.
pub fn replay(fixture: &str, steps: &[Step]) -> Result<(), Broken> {
    let mut cluster = fixtures::cluster(fixture);
    schedule::play(&mut cluster, steps)
        .map(|_| ())
        .map_err(|(_, broken)| broken)
}

/// Plays seeds `from..`, over all fixtures, for as long as `more` says so.
///
/// # Errors
/// At the first failure.
pub fn many(from: u64, mut more: impl FnMut(Played) -> bool) -> Result<Played, Box<Failure>> {
    let mut played = Played::default();
    for seed in from.. {
        for fixture in fixtures::NAMES {
            if !more(played) {
                return Ok(played);
            }
            played.decisions += one(fixture, seed)?;
            played.schedules += 1;
        }
    }
    Ok(played)
}
