//! Observe: from the caches to the `World` of one Experiment, and which Experiments a change wakes. Owned objects wake
//! their owner; a Rollout wakes the Experiments that it owns, since it may have taken requests away from them.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use sluice_analysis::Templates;
use sluice_crds::analysis::{AnalysisRun, AnalysisRunStatus, AnalysisTemplateRef};
use sluice_crds::decode::DecodeError;
use sluice_crds::experiment::Experiment;
use sluice_crds::names::POD_TEMPLATE_HASH;
use sluice_crds::rollout::RolloutStatus;
use sluice_rollout::experiment::{self, OwnedService, Plan, Refused, World};
use sluice_rollout::{ReplicaSet, Settings};
use sluice_runtime::cache::{Change, Subscriber};
use sluice_runtime::kind::{
    ANALYSIS_RUN, ANALYSIS_TEMPLATE, CLUSTER_ANALYSIS_TEMPLATE, EXPERIMENT, REPLICA_SET, ROLLOUT,
    SERVICE,
};
use sluice_runtime::projection;
use sluice_runtime::watch::WatchOptions;
use sluice_runtime::{Cache, Caches, Key, Object, Queue, SyncState};

use super::USAGE;
use crate::config::Config;
use crate::templates;

/// The caches. Those that the Rollout loop has as well are the same ones.
pub(super) struct Watches {
    pub(super) experiments: Arc<Cache>,
    pub(super) replica_sets: Arc<Cache>,
    pub(super) services: Arc<Cache>,
    pub(super) runs: Arc<Cache>,
    rollouts: Arc<Cache>,
    templates: Arc<Cache>,
    cluster_templates: Arc<Cache>,
}

impl Watches {
    pub(super) fn start(caches: &Caches, queue: &Queue<Key>, config: &Config) -> Self {
        let start = |kind, options| caches.start(kind, USAGE, options, Vec::new());
        let of_instance = || WatchOptions {
            labels: Some(config.instance_selector()),
            ..WatchOptions::default()
        };
        let with_hash = WatchOptions {
            labels: Some(POD_TEMPLATE_HASH.to_owned()),
            ..WatchOptions::default()
        };
        let slim = WatchOptions {
            projection: projection::service,
            ..WatchOptions::default()
        };
        let watches = Self {
            experiments: start(&EXPERIMENT, of_instance()),
            replica_sets: start(&REPLICA_SET, with_hash),
            services: start(&SERVICE, slim),
            runs: start(&ANALYSIS_RUN, of_instance()),
            rollouts: start(&ROLLOUT, of_instance()),
            templates: start(&ANALYSIS_TEMPLATE, WatchOptions::default()),
            cluster_templates: start(&CLUSTER_ANALYSIS_TEMPLATE, WatchOptions::default()),
        };
        watches.experiments.subscribe(wake_itself(queue));
        for cache in [&watches.replica_sets, &watches.services, &watches.runs] {
            cache.subscribe(wake_owner(queue));
        }
        let owned = wake_owned(queue, &watches.experiments);
        watches.rollouts.subscribe(owned);
        watches
    }
}

fn wake_itself(queue: &Queue<Key>) -> Subscriber {
    let queue = queue.clone();
    Box::new(move |change| queue.add(change.object().key.clone()))
}

fn wake_owner(queue: &Queue<Key>) -> Subscriber {
    let queue = queue.clone();
    Box::new(move |change| {
        let wake = |object: &Object| {
            let owner = object.owner.as_ref();
            if let Some(owner) = owner.filter(|owner| &*owner.kind == "Experiment") {
                queue.add(Key::new(&object.key.namespace, &owner.name));
            }
        };
        wake(change.object());
        // One that lost its owner wakes the owner that it had, too.
        if let Change::Applied {
            object,
            previous: Some(previous),
        } = change
            && object.owner != previous.owner
        {
            wake(previous);
        }
    })
}

fn wake_owned(queue: &Queue<Key>, experiments: &Arc<Cache>) -> Subscriber {
    let (queue, experiments) = (queue.clone(), Arc::clone(experiments));
    Box::new(move |change| {
        for experiment in experiments.owned_by(&change.object().uid) {
            queue.add(experiment.key.clone());
        }
    })
}

/// Everything that one decision looks at, owned.
pub(super) struct Observed {
    /// The Experiment as it is cached.
    pub(super) object: Arc<Object>,
    /// The same, decoded.
    pub(super) experiment: Experiment,
    replica_sets: Vec<ReplicaSet>,
    services: Vec<OwnedService>,
    runs: Vec<AnalysisRun>,
    templates: Templates,
    routed: BTreeSet<String>,
}

/// What was seen.
pub(super) enum Sight {
    /// All of it.
    Complete(Box<Observed>),
    /// A cache is still being filled.
    NotYet,
    /// Something that belongs to it cannot be read; the sentence says what.
    Unreadable(String),
    /// The Experiment itself cannot be decoded.
    Malformed(DecodeError),
}

impl Observed {
    /// Decides on the view, with what the API refused.
    pub(super) fn decide(&self, settings: &Settings, refused: &[Refused], now: Timestamp) -> Plan {
        let world = World {
            experiment: &self.experiment,
            replica_sets: &self.replica_sets,
            services: &self.services,
            analysis_runs: &self.runs,
            templates: &self.templates,
            routed: &self.routed,
            refused,
            settings,
        };
        experiment::decide(&world, now)
    }
}

/// Observes one Experiment.
pub(super) fn observe(watches: &Watches, object: &Arc<Object>) -> Sight {
    for cache in [
        &watches.replica_sets,
        &watches.services,
        &watches.runs,
        &watches.rollouts,
        &watches.templates,
        &watches.cluster_templates,
    ] {
        match cache.state() {
            SyncState::Synced | SyncState::Absent => {}
            SyncState::Starting => return Sight::NotYet,
            SyncState::Denied => {
                return Sight::Unreadable(format!(
                    "the controller may not list and watch {}: grant it in its ClusterRole",
                    cache.kind()
                ));
            }
        }
    }
    let experiment: Experiment = match object.decode() {
        Ok(experiment) => experiment,
        Err(error) => return Sight::Malformed(error),
    };
    let mut replica_sets = Vec::new();
    for cached in watches.replica_sets.owned_by(&object.uid) {
        match ReplicaSet::from_object(&cached.value()) {
            Ok(set) => replica_sets.push(set),
            Err(error) => {
                let key = &cached.key;
                return Sight::Unreadable(format!("ReplicaSet {key} cannot be read: {error}"));
            }
        }
    }
    let services = watches.services.owned_by(&object.uid);
    let named = experiment
        .spec
        .analyses
        .iter()
        .flatten()
        .map(|analysis| AnalysisTemplateRef {
            template_name: Some(analysis.template_name.clone()),
            cluster_scope: analysis.cluster_scope,
        })
        .collect();
    Sight::Complete(Box::new(Observed {
        object: Arc::clone(object),
        replica_sets,
        services: services
            .iter()
            .map(|service| OwnedService::from_object(&service.value()))
            .collect(),
        runs: watches
            .runs
            .owned_by(&object.uid)
            .iter()
            .map(|run| decode_run(run))
            .collect(),
        templates: templates::read(
            &watches.templates,
            &watches.cluster_templates,
            named,
            &object.key.namespace,
        ),
        routed: routed(watches, object),
        experiment,
    }))
}

/// A run that cannot be decoded counts as inconclusive: a person has to look.
fn decode_run(cached: &Object) -> AnalysisRun {
    cached.decode().unwrap_or_else(|error| {
        let mut run = AnalysisRun::new(&cached.key.name, Default::default());
        run.status = Some(AnalysisRunStatus {
            phase: "Inconclusive".to_owned(),
            message: Some(format!("the AnalysisRun cannot be read: {error}")),
            ..AnalysisRunStatus::default()
        });
        run
    })
}

/// Services of the Experiment to which the Rollout that owns it sends requests, as its status says.
fn routed(watches: &Watches, object: &Object) -> BTreeSet<String> {
    let owner = object
        .owner
        .as_ref()
        .filter(|owner| &*owner.kind == "Rollout");
    let rollout = owner
        .map(|owner| Key::new(&object.key.namespace, &owner.name))
        .and_then(|key| watches.rollouts.get(&key))
        .filter(|rollout| owner.is_some_and(|owner| *owner.uid == *rollout.uid));
    let status = rollout
        .and_then(|rollout| rollout.value().get("status").cloned())
        .and_then(|status| serde_json::from_value::<RolloutStatus>(status).ok());
    status.map_or_else(BTreeSet::new, |status| status.routed_experiments())
}
