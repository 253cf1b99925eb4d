//! What the Rollout loop watches, and which Rollouts a change wakes.
//!
//! Owned objects wake their owner; objects that Rollouts only name (Services, routes, workloads) wake those that name
//! them, by [`References`], and Services also the Rollout that manages them, by [`Managed`]; templates wake the Rollouts of
//! their namespace, since a template may name others. Kinds that no Rollout names are not watched.

use std::sync::Arc;

use sluice_crds::names::POD_TEMPLATE_HASH;
use sluice_runtime::cache::{Change, Subscriber};
use sluice_runtime::kind::{
    ANALYSIS_RUN, ANALYSIS_TEMPLATE, CLUSTER_ANALYSIS_TEMPLATE, EXPERIMENT, Kind, POD, REPLICA_SET,
    ROLLOUT, SERVICE,
};
use sluice_runtime::projection;
use sluice_runtime::watch::WatchOptions;
use sluice_runtime::{Cache, Caches, Key, Object, Queue};

use super::managed::Managed;
use super::references::{Reference, References};
use super::urgent;
use crate::config::Config;

/// Name under which the loop's caches are known.
const USAGE: &str = "rollouts";

/// The caches, and who is to be woken.
pub(crate) struct Watches {
    pub(crate) rollouts: Arc<Cache>,
    pub(crate) replica_sets: Arc<Cache>,
    pub(crate) services: Arc<Cache>,
    pub(crate) runs: Arc<Cache>,
    pub(crate) experiments: Arc<Cache>,
    pub(crate) templates: Arc<Cache>,
    pub(crate) cluster_templates: Arc<Cache>,
    pub(crate) references: Arc<References>,
    pub(crate) managed: Arc<Managed>,
    queue: Queue<Key>,
}

impl Watches {
    pub(crate) fn start(caches: &Caches, queue: &Queue<Key>, config: &Config) -> Self {
        let references: Arc<References> = Arc::default();
        let managed: Arc<Managed> = Arc::default();
        let of_instance = || WatchOptions {
            labels: Some(config.instance_selector()),
            ..WatchOptions::default()
        };
        let rollouts = caches.start(&ROLLOUT, USAGE, of_instance(), vec![wake_itself(queue)]);
        let with_hash = WatchOptions {
            labels: Some(POD_TEMPLATE_HASH.to_owned()),
            ..WatchOptions::default()
        };
        let replica_sets = caches.start(
            &REPLICA_SET,
            USAGE,
            with_hash,
            vec![
                wake_owner(queue, Some(&rollouts), |_| false),
                wake_managers(queue, &managed),
            ],
        );
        let runs = caches.start(
            &ANALYSIS_RUN,
            crate::analysis::USAGE,
            of_instance(),
            Vec::new(),
        );
        runs.subscribe(wake_owner(queue, None, urgent::is_bad_verdict));
        let experiments = caches.start(&EXPERIMENT, USAGE, of_instance(), Vec::new());
        experiments.subscribe(wake_owner(queue, None, urgent::is_bad_verdict));
        let slim = WatchOptions {
            projection: projection::service,
            ..WatchOptions::default()
        };
        let services = caches.start(
            &SERVICE,
            USAGE,
            slim,
            vec![
                wake_referrers(queue, &references, &SERVICE),
                wake_manager(queue, &managed),
            ],
        );
        let neighbours = |rollouts: &Arc<Cache>| wake_namespace(queue, rollouts);
        let templates = caches.start(
            &ANALYSIS_TEMPLATE,
            USAGE,
            WatchOptions::default(),
            vec![neighbours(&rollouts)],
        );
        let cluster_templates = caches.start(
            &CLUSTER_ANALYSIS_TEMPLATE,
            USAGE,
            WatchOptions::default(),
            vec![neighbours(&rollouts)],
        );
        Self {
            rollouts,
            replica_sets,
            services,
            runs,
            experiments,
            templates,
            cluster_templates,
            references,
            managed,
            queue: queue.clone(),
        }
    }

    /// The cache of a kind of which objects are named by Rollouts; it is started when the first one is.
    pub(crate) fn named(&self, caches: &Caches, kind: &Kind) -> Arc<Cache> {
        let subscribers = vec![wake_referrers(&self.queue, &self.references, kind)];
        caches.start(kind, "routes", WatchOptions::default(), subscribers)
    }

    /// The cache of pods, metadata only; it is started when the first Rollout needs single pods. Pods wake nobody: the
    /// numbers of their ReplicaSet do.
    pub(crate) fn pods(caches: &Caches) -> Arc<Cache> {
        let options = WatchOptions {
            labels: Some(POD_TEMPLATE_HASH.to_owned()),
            projection: projection::metadata_only,
            metadata_only: true,
            ..WatchOptions::default()
        };
        caches.start(&POD, "routes", options, Vec::new())
    }

    /// The cache of a kind of which objects are named, if it was started.
    pub(crate) fn named_if_started(caches: &Caches, kind: &Kind) -> Option<Arc<Cache>> {
        caches.get(kind, "routes")
    }
}

fn wake_itself(queue: &Queue<Key>) -> Subscriber {
    let queue = queue.clone();
    Box::new(move |change| {
        let key = change.object().key.clone();
        if urgent::is_abort(change) {
            queue.add_first(key);
        } else {
            queue.add(key);
        }
    })
}

/// Wakes the Rollout that owns the object. An object without an owner wakes the Rollouts of its namespace, one of which
/// may take it over; that is asked for only where adoption happens.
/// Changes for which `first` holds go before others.
fn wake_owner(
    queue: &Queue<Key>,
    adopters: Option<&Arc<Cache>>,
    first: fn(&Change<'_>) -> bool,
) -> Subscriber {
    let queue = queue.clone();
    let adopters = adopters.cloned();
    Box::new(move |change| {
        let wake = |object: &Object| match &object.owner {
            Some(owner) if &*owner.kind == "Rollout" => {
                let key = Key::new(&object.key.namespace, &owner.name);
                if first(change) {
                    queue.add_first(key);
                } else {
                    queue.add(key);
                }
            }
            Some(_) => {}
            None => {
                for rollout in adopters
                    .iter()
                    .flat_map(|all| all.in_namespace(&object.key.namespace))
                {
                    queue.add(rollout.key.clone());
                }
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

fn wake_referrers(queue: &Queue<Key>, references: &Arc<References>, kind: &Kind) -> Subscriber {
    let (queue, references, kind) = (queue.clone(), Arc::clone(references), kind.clone());
    Box::new(move |change| {
        let target = reference(&kind, change.object().key.clone());
        for rollout in references.referrers(&target) {
            queue.add(rollout);
        }
    })
}

/// Wakes the Rollout that manages a Service, which may be gone.
fn wake_manager(queue: &Queue<Key>, managed: &Arc<Managed>) -> Subscriber {
    let (queue, managed) = (queue.clone(), Arc::clone(managed));
    Box::new(move |change| {
        for rollout in managed.follow(change) {
            queue.add(rollout);
        }
    })
}

/// Wakes, for a set without an owner, the Rollouts that manage Services beside it: one that is gone may have left both.
fn wake_managers(queue: &Queue<Key>, managed: &Arc<Managed>) -> Subscriber {
    let (queue, managed) = (queue.clone(), Arc::clone(managed));
    Box::new(move |change| {
        let before = match change {
            Change::Applied { previous, .. } => *previous,
            Change::Deleted { .. } => None,
        };
        let seen = [Some(change.object()), before];
        if seen.into_iter().flatten().any(|set| set.owner.is_none()) {
            for rollout in managed.managers(&change.object().key.namespace) {
                queue.add(rollout);
            }
        }
    })
}

fn wake_namespace(queue: &Queue<Key>, rollouts: &Arc<Cache>) -> Subscriber {
    let (queue, rollouts) = (queue.clone(), Arc::clone(rollouts));
    Box::new(move |change| {
        let namespace = &change.object().key.namespace;
        let woken = if namespace.is_empty() {
            rollouts.all()
        } else {
            rollouts.in_namespace(namespace)
        };
        for rollout in woken {
            queue.add(rollout.key.clone());
        }
    })
}

/// An object of a kind, as the index knows it. The version does not count.
pub(crate) fn reference(kind: &Kind, key: Key) -> Reference {
    Reference {
        group: kind.group.to_string(),
        kind: kind.kind.to_string(),
        key,
    }
}
