//! How fast Sluice is and what it costs, on a real API server: `cargo xtask bench`.
//!
//! | what | file |
//! |---|---|
//! | the measurements, one file each | [`abort`], [`webhook`], [`idle`], [`fleet`], [`update`], [`restart`] |
//! | what they run on | [`stage`] (API server and simulated nodes), [`subject`] (the controller), [`git`] |
//! | what is seen, and when | [`watch`] (the API), [`usage`] (`/proc`), [`scrape`] (`/metrics`), [`rest`] |
//! | what comes out | [`figures`], [`table`], [`record`] (the page) |
//!
//! The controller is a process of this machine, so that its memory and processor time can be read; it is the program
//! that goes into the image. Each measurement begins with a control plane of its own; those of a fleet share one.
//! Figures come from this program's own watches and clock, not from what the controller says about itself; only
//! requests to the API are counted by the controller's metrics.

pub mod abort;
pub mod figures;
pub mod fleet;
pub mod git;
pub mod idle;
pub mod manifests;
pub mod record;
pub mod rest;
pub mod restart;
pub mod scrape;
pub mod stage;
pub mod subject;
pub mod table;
pub mod update;
pub mod usage;
pub mod watch;
pub mod webhook;

use std::pin::Pin;
use std::time::Duration;

use anyhow::Result;

use crate::progress::Reporter;
use figures::Figure;
use fleet::Fleet;
use manifests::Router;
use stage::Stage;
use subject::Subject;
use table::Outcome;

/// How much is measured.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Rounds of a latency.
    pub rounds: usize,
    /// How long a resting controller is looked at.
    pub period: Duration,
    /// Rollouts of the fleet.
    pub rollouts: usize,
    /// How many of them are updated at once; 0: a fifth, at most 500.
    pub updated: usize,
    /// Pods of each Rollout that is updated.
    pub pods: usize,
    /// The router of Rollouts that have one.
    pub router: Router,
}

impl Settings {
    /// How many Rollouts are updated at once.
    #[must_use]
    pub fn updated(&self) -> usize {
        let wanted = if self.updated == 0 {
            (self.rollouts / 5).clamp(1, 500)
        } else {
            self.updated
        };
        wanted.min(self.rollouts)
    }
}

type Work<'a> = Pin<Box<dyn Future<Output = Result<Vec<Figure>>> + Send + 'a>>;

/// Where a measurement happens.
#[derive(Clone, Copy)]
enum Place {
    /// On a stage of its own.
    Stage(for<'a> fn(&'a Stage) -> Work<'a>),
    /// On the fleet.
    Fleet(for<'a> fn(&'a mut Fleet) -> Work<'a>),
}

/// One of the measurements.
pub struct Measurement {
    /// Its name, for `--only` and in the table.
    pub name: &'static str,
    /// What its figures mean, in a sentence.
    pub about: fn(&Settings) -> String,
    /// Whether it needs the sync loop, which only Sluice has.
    syncs: bool,
    place: Place,
}

/// All of them, in the order in which they run.
pub const MEASUREMENTS: &[Measurement] = &[
    Measurement {
        name: "abort",
        about: |settings| {
            format!(
                "{} rounds each. By hand: from sending the request that sets `status.abort` to seeing weight 0 on the \
                 router's object. Verdict: from seeing the AnalysisRun `Failed` to the same.",
                settings.rounds
            )
        },
        syncs: false,
        place: Place::Stage(|stage| Box::pin(abort::measure(stage))),
    },
    Measurement {
        name: "webhook",
        about: |_| {
            "from sending a Git server's webhook to seeing the pushed change of an object; fetching over HTTP \
             from a real Git server included."
                .to_owned()
        },
        syncs: true,
        place: Place::Stage(|stage| Box::pin(webhook::measure(stage))),
    },
    Measurement {
        name: "idle",
        about: |settings| {
            format!(
                "one Application with one Rollout that nobody touches, over {} s, all loops running.",
                settings.period.as_secs()
            )
        },
        syncs: true,
        place: Place::Stage(|stage| Box::pin(idle::measure(stage))),
    },
    Measurement {
        name: "fleet",
        about: |settings| {
            format!(
                "{} Rollouts at rest in one namespace, {} of them with a router and {} pods, the others with 1; over \
                 {} s.",
                settings.rollouts,
                settings.updated(),
                settings.pods,
                settings.period.as_secs()
            )
        },
        syncs: false,
        place: Place::Fleet(|fleet| Box::pin(fleet::idle(fleet))),
    },
    Measurement {
        name: "update",
        about: |settings| {
            format!(
                "{} Rollouts of {} pods get a new version at once: canary at 20, 40, 60, 80 %, no pauses. Total: from the \
                 first request to the last promotion. Processor time and requests: of the controller, until the \
                 old pods are scaled down. Next weight: from seeing the ReplicaSet with more available pods to seeing \
                 the weight on the router's object.",
                settings.updated(),
                settings.pods
            )
        },
        syncs: false,
        place: Place::Fleet(|fleet| Box::pin(update::measure(fleet))),
    },
    Measurement {
        name: "restart",
        about: |_| {
            "the controller is ended by SIGTERM and started again with the fleet there: until `/readyz` says ok, and \
             until each Rollout was reconciled once."
                .to_owned()
        },
        syncs: false,
        place: Place::Fleet(|fleet| Box::pin(restart::measure(fleet))),
    },
];

/// Measures one controller: what `only` names, or everything when it is empty. One that fails does not keep the others
/// from being measured.
pub async fn run(
    subject: &Subject,
    settings: &Settings,
    only: &[String],
    reporter: &Reporter,
) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    let mut fleet: Option<Fleet> = None;
    let syncs = matches!(subject, Subject::Sluice(_));
    let wanted = |measurement: &&Measurement| {
        (only.is_empty() || only.iter().any(|name| name == measurement.name))
            && (syncs || !measurement.syncs)
    };
    for measurement in MEASUREMENTS.iter().filter(wanted) {
        reporter.say(&format!("{} ({})", measurement.name, subject.name()));
        let figures = match measurement.place {
            Place::Stage(measure) => match Stage::start(subject, settings, reporter, 100).await {
                Ok(stage) => measure(&stage).await.map_err(|error| stage.explain(error)),
                Err(error) => Err(error),
            },
            Place::Fleet(measure) => match ensure(&mut fleet, subject, settings, reporter).await {
                Ok(fleet) => {
                    let figures = measure(fleet).await;
                    figures.map_err(|error| fleet.stage.explain(error))
                }
                Err(error) => Err(error),
            },
        };
        if let Err(error) = &figures {
            reporter.say(&format!("  {} failed: {error:#}", measurement.name));
        }
        outcomes.push(Outcome {
            measurement: measurement.name,
            controller: subject.name(),
            figures: figures.map_err(|error| format!("{error:#}")),
        });
    }
    outcomes
}

/// The fleet, created when it is needed for the first time.
async fn ensure<'a>(
    fleet: &'a mut Option<Fleet>,
    subject: &Subject,
    settings: &Settings,
    reporter: &Reporter,
) -> Result<&'a mut Fleet> {
    match fleet {
        Some(fleet) => Ok(fleet),
        None => Ok(fleet.insert(Fleet::create(subject, settings, reporter).await?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifth_of_the_fleet_is_updated_unless_told() {
        let settings = |rollouts, updated| Settings {
            rounds: 1,
            period: Duration::from_secs(1),
            rollouts,
            updated,
            pods: 4,
            router: Router::Gateway,
        };
        assert_eq!(settings(1000, 0).updated(), 200);
        assert_eq!(settings(10_000, 0).updated(), 500);
        assert_eq!(settings(3, 0).updated(), 1);
        assert_eq!(settings(3, 7).updated(), 3);
    }

    #[test]
    fn names_are_distinct() {
        let names: std::collections::BTreeSet<&str> = MEASUREMENTS
            .iter()
            .map(|measurement| measurement.name)
            .collect();
        assert_eq!(names.len(), MEASUREMENTS.len());
    }
}
