//! A fleet: many Rollouts in one namespace, some of them with a router, under one controller.
//!
//! Those that will be updated have Services and a router object; the others go by pods alone, so that a large fleet
//! fits on a small machine.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::{Value, json};

use super::Settings;
use super::figures::{Figure, Unit};
use super::manifests::Shape;
use super::rest::{self, Targets};
use super::stage::{NAMESPACE, Stage};
use super::subject::{Running, Subject};
use crate::progress::Reporter;

/// How long it may take until another Rollout is healthy.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Promised for a fleet of up to 10,000.
const TARGETS: Targets = Targets {
    megabytes: 150.0,
    percent: 1.0,
};

/// A fleet whose Rollouts are all healthy.
pub struct Fleet {
    /// What it is on.
    pub stage: Stage,
    /// Its controller; none in the middle of a restart.
    pub controller: Option<Running>,
    /// Names of all Rollouts.
    pub names: Vec<String>,
    /// How long it took until all were healthy.
    pub created_in: Duration,
}

impl Fleet {
    /// Creates a fleet.
    ///
    /// # Errors
    /// When it does not become healthy.
    pub async fn create(
        subject: &Subject,
        settings: &Settings,
        reporter: &Reporter,
    ) -> Result<Self> {
        let pods = settings.rollouts + 2 * settings.updated() * settings.pods;
        let stage = Stage::start(subject, settings, reporter, pods).await?;
        let controller = stage.controller().await?;
        let names: Vec<String> = (0..settings.rollouts)
            .map(|index| format!("app-{index:05}"))
            .collect();
        let began = Instant::now();
        let mut watch = stage.watch_rollouts();
        let create = stage.for_each("create the fleet", &names, |index, name| {
            stage.create(shape(settings, index).objects(NAMESPACE, &name))
        });
        let healthy = stage.all_healthy("healthy", &mut watch, &names, PATIENCE, |_| true);
        let joined = async { tokio::try_join!(create, healthy) };
        let ((), last) = joined.await.map_err(|error| stage.explain(error))?;
        Ok(Self {
            created_in: last.duration_since(began),
            controller: Some(controller),
            names,
            stage,
        })
    }

    /// The running controller.
    ///
    /// # Errors
    /// In the middle of a restart that failed.
    pub fn controller(&self) -> Result<&Running> {
        let running = self.controller.as_ref();
        running.ok_or_else(|| anyhow::anyhow!("the controller was not started again"))
    }

    /// The Rollouts that are updated.
    #[must_use]
    pub fn updated(&self) -> &[String] {
        let count = self.stage.settings.updated().min(self.names.len());
        &self.names[..count]
    }
}

/// The first ones are those that will be updated.
fn shape(settings: &Settings, index: usize) -> Shape {
    let routed = index < settings.updated();
    Shape {
        replicas: if routed { settings.pods } else { 1 },
        steps: steps(),
        router: routed.then_some(settings.router),
        analysis: None,
    }
}

/// Four steps without a pause; with four or more pods, each of them needs another pod.
fn steps() -> Value {
    [20, 40, 60, 80]
        .iter()
        .map(|weight| json!({"setWeight": weight}))
        .collect()
}

/// The fleet at rest.
///
/// # Errors
/// When the controller ends.
pub async fn idle(fleet: &mut Fleet) -> Result<Vec<Figure>> {
    let mut figures = vec![Figure::new(
        "created and healthy in",
        fleet.created_in.as_secs_f64(),
        Unit::Seconds,
    )];
    figures.extend(rest::observe(&fleet.stage, fleet.controller()?, TARGETS).await?);
    Ok(figures)
}
