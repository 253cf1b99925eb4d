//! The AnalysisRun loop: for each run observe → decide → act, with measurements beside it.
//!
//! | step | file |
//! |---|---|
//! | take in what measurements gave, decide | this file, by `sluice_analysis::run`, pure |
//! | act: status, events, deletion | [`act`] |
//! | measure: secrets, provider, outcome | [`measure`], [`provider`], [`secrets`]; in tasks that hold no worker |
//! | Jobs: where, made and deleted, watched, left behind | [`job_site`], [`job`], [`job_watch`], [`job_orphans`] |
//! | metrics | [`info`] |
//!
//! The outcome of a measurement stays here until the API has confirmed the status that contains it: it is neither lost
//! nor counted twice when a write fails.

mod act;
mod info;
mod job;
mod job_orphans;
mod job_site;
mod job_watch;
mod measure;
mod provider;
mod secrets;

use std::sync::Arc;

use sluice_analysis::{Circumstances, RunPlan};
use sluice_crds::analysis::AnalysisRun;
use sluice_runtime::decision_log::Decision;
use sluice_runtime::kind::{ANALYSIS_RUN, ANALYSIS_TEMPLATE};
use sluice_runtime::series::Family;
use sluice_runtime::watch::WatchOptions;
use sluice_runtime::{Context, Key, Kind, Next, Object, Queue};
use tokio::task::JoinSet;

use crate::config::Config;
use crate::reconcile::{self, Core, Reconcile};
use job_orphans::Orphans;
use job_site::JobSite;
use job_watch::JobWatch;
use measure::Measurements;
use provider::Providers;

/// Name under which the cache of runs is known; the Rollout loop uses the same one.
pub(crate) const USAGE: &str = "rollouts";

/// The loop.
pub(crate) struct AnalysisRuns {
    core: Core,
    measurements: Measurements,
    jobs: JobWatch,
    /// Where the garbage collector of the cluster does not know whose a Job is.
    orphans: Option<Orphans>,
}

impl Reconcile for AnalysisRuns {
    const KIND: &'static Kind = &ANALYSIS_RUN;
    const FAMILIES: &'static [Family] = &[
        Family::AnalysisRunReconcile,
        Family::AnalysisRunReconcileError,
    ];

    fn core(&self) -> &Core {
        &self.core
    }

    async fn pass(&self, object: &Arc<Object>) -> Next {
        match object.decode::<AnalysisRun>() {
            Ok(run) => self.decide_and_act(object, run).await,
            Err(error) => {
                // The Rollout that owns it counts it as inconclusive and says why.
                tracing::warn!(run = %object.key, %error, "the AnalysisRun cannot be read");
                Next::Done
            }
        }
    }

    /// Stops measuring as well.
    fn forget(&self, key: &Key) {
        self.measurements.forget(key);
    }
}

impl AnalysisRuns {
    /// Starts the caches that the loop needs. `jobs` has the handles of the cluster in which Jobs run, if it is another one.
    pub(crate) fn start(ctx: &Context, jobs: Option<Context>, config: &Config) -> Arc<Self> {
        let queue: Queue<Key> = Queue::new("AnalysisRuns");
        let of_instance = WatchOptions {
            labels: Some(config.instance_selector()),
            ..WatchOptions::default()
        };
        let runs = ctx
            .caches
            .start(&ANALYSIS_RUN, USAGE, of_instance, Vec::new());
        let wake = queue.clone();
        runs.subscribe(Box::new(move |change| {
            wake.add(change.object().key.clone())
        }));
        let site = JobSite::new(ctx, jobs, config);
        let orphans = site.place.is_elsewhere();
        let orphans = orphans.then(|| Orphans::new(ctx, &site));
        let providers = Providers::new(ctx, &site, &config.providers);
        info::register(
            &ctx.metrics,
            &runs,
            ctx.caches.get(&ANALYSIS_TEMPLATE, USAGE),
        );
        Arc::new(Self {
            measurements: Measurements::new(ctx, &queue, providers),
            jobs: JobWatch::new(&site, &queue, &runs, orphans.clone()),
            orphans,
            core: Core::new(ctx, queue, &runs, config.resync),
        })
    }

    /// Works on runs until the context's `stop`, then finishes what is under way, and measures no more.
    pub(crate) async fn run(self: &Arc<Self>, workers: usize) {
        // Ended with this function: a deletion that was not made is made by whoever acts next.
        let mut beside = JoinSet::new();
        if let Some(orphans) = self.orphans.clone() {
            beside.spawn(orphans.run(Arc::clone(&self.core.objects)));
            // Jobs of runs that went while nobody acted are there already.
            self.jobs.start();
        }
        reconcile::run(self, workers).await;
        self.measurements.end();
    }

    /// Takes in what was measured, decides once, and acts on it.
    async fn decide_and_act(&self, object: &Object, run: AnalysisRun) -> Next {
        let now = self.core.ctx.clock.now();
        let key = &object.key;
        let finished = self.measurements.finished(key, &object.uid);
        let mut working = run.clone();
        let mut events = Vec::new();
        let mut reasons = Vec::new();
        for measured in &finished {
            let circumstances = Circumstances {
                started_at: Some(measured.started_at),
                secrets: Some(&measured.secrets),
            };
            let outcome = measured.outcome.clone();
            let plan = sluice_analysis::absorb_with(
                &working,
                &measured.metric,
                outcome,
                circumstances,
                now,
            );
            working.status = Some(plan.status);
            events.extend(plan.events);
            reasons.extend(plan.reasons);
        }
        self.jobs.hurry(&mut working);
        let in_flight = self.measurements.in_flight(key, &object.uid);
        let mut plan: RunPlan = sluice_analysis::decide(&working, &in_flight, now);
        events.append(&mut plan.events);
        plan.events = events;
        let outcome = act::act(self, object, &run, &plan, &finished).await;
        reasons.append(&mut plan.reasons);
        let decision = Decision {
            at: now,
            resource_version: object.resource_version.to_string(),
            reasons: reasons.iter().map(ToString::to_string).collect(),
            effects: act::describe(&plan),
            outcome: outcome
                .as_ref()
                .map_or_else(ToString::to_string, |()| "done".to_owned()),
            wake_at: plan.wake_at,
        };
        self.core.decided(&ANALYSIS_RUN, key, decision);
        match outcome {
            // A finished run without an end of its life has nothing to come back for.
            Ok(()) if plan.wake_at.is_none() && in_flight.is_empty() && plan.measure.is_empty() => {
                Next::Done
            }
            Ok(()) => Next::After(self.core.until_next(key, plan.wake_at)),
            Err(error) if error.is_transient() => {
                tracing::debug!(run = %key, %error, "observing again");
                Next::Retry
            }
            Err(error) => {
                tracing::warn!(run = %key, %error, "the AnalysisRun cannot be written");
                Next::Retry
            }
        }
    }
}
