//! ReplicaSets and their pods in virtual time: what the built-in controllers and the kubelet do in a real cluster.
//!
//! Pods are not objects here, only what a ReplicaSet's status is counted from: each is created, becomes ready after a
//! time that depends on its image, may crash, be evicted, or get other labels; caches of them do not lag. The pod that is
//! taken away first is the least ready, then the newest, as the ReplicaSet controller does it.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::store::{Expected, Object, Part, Store};

/// How pods of one image behave.
#[derive(Debug, Clone, PartialEq)]
pub struct Behaviour {
    /// Time from creation to readiness; `None`: never ready.
    pub ready_after: Option<SignedDuration>,
    /// Share of requests that fail, 0 to 1.
    pub error_rate: f64,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            ready_after: Some(SignedDuration::from_secs(2)),
            error_rate: 0.0,
        }
    }
}

#[derive(Debug, Clone)]
struct Pod {
    ready_at: Option<Timestamp>,
    seen: sluice_rollout::Pod,
}

/// All pods, by the uid of their ReplicaSet.
#[derive(Debug, Clone, Default)]
pub struct Workloads {
    /// Behaviour by image; others behave as [`Behaviour::default`].
    pub images: BTreeMap<String, Behaviour>,
    /// Whether disruption budgets refuse evictions.
    pub refuses_evictions: bool,
    pods: BTreeMap<String, Vec<Pod>>,
    /// By uid of a ReplicaSet: its resource version when it was looked at last, and until when nothing changes in it.
    settled: BTreeMap<String, (u64, Timestamp)>,
    made: u64,
    changed: bool,
}

impl Workloads {
    /// How the pods of a ReplicaSet behave: by its first container's image.
    #[must_use]
    pub fn behaviour(&self, owner: &Object) -> Behaviour {
        let image = owner.text("/spec/template/spec/containers/0/image");
        self.images.get(image).cloned().unwrap_or_default()
    }

    /// Brings pods and statuses of all ReplicaSets to where they are at the store's time.
    pub fn reconcile(&mut self, store: &mut Store) {
        let sets: Vec<Arc<Object>> = store.objects("ReplicaSet").cloned().collect();
        if self.pods.len() > sets.len() {
            let left = |uid: &String| sets.iter().any(|set| set.uid() == uid);
            self.pods.retain(|uid, _| left(uid));
            self.settled.retain(|uid, _| left(uid));
        }
        for set in sets {
            self.reconcile_one(store, &set);
        }
    }

    fn reconcile_one(&mut self, store: &mut Store, object: &Object) {
        let Some(set) = object.replica_set() else {
            return;
        };
        let now = store.now;
        let settled = self.settled.get(&set.uid);
        if settled.is_some_and(|(version, until)| *version == object.version && now < *until) {
            return;
        }
        let wanted = usize::try_from(set.replicas).unwrap_or(0);
        if !self.pods.contains_key(&set.uid) {
            self.pods.insert(set.uid.clone(), Vec::new());
        }
        let Some(pods) = self.pods.get_mut(&set.uid) else {
            return;
        };
        if pods.len() != wanted {
            // Ready first, oldest first; so what is cut off at the end is least ready and newest.
            pods.sort_by_key(|pod| pod.ready_at.unwrap_or(Timestamp::MAX));
            pods.truncate(wanted);
            self.changed = true;
        }
        while pods.len() < wanted {
            let image = object.text("/spec/template/spec/containers/0/image");
            let default = Behaviour::default();
            let after = self.images.get(image).unwrap_or(&default).ready_after;
            let ready_at = after.and_then(|after| now.checked_add(after).ok());
            self.made += 1;
            let seen = pod(object, self.made, now);
            pods.push(Pod { ready_at, seen });
        }
        let min_ready = SignedDuration::from_secs(i64::from(set.min_ready_seconds.max(0)));
        let since = |delay: SignedDuration| {
            let is = |pod: &&Pod| {
                pod.ready_at
                    .and_then(|ready| ready.checked_add(delay).ok())
                    .is_some_and(|at| at <= now)
            };
            pods.iter().filter(is).count()
        };
        let (ready, available) = (since(SignedDuration::ZERO), since(min_ready));
        let known = [set.current, set.ready, set.available];
        let counted = [pods.len(), ready, available];
        let generation = object.at("/metadata/generation");
        let observed = object.at("/status/observedGeneration");
        let same = |(known, counted): (&i32, &usize)| usize::try_from(*known) == Ok(*counted);
        let next = pods.iter().flat_map(|pod| {
            let ready = pod.ready_at;
            let available = ready.and_then(|ready| ready.checked_add(min_ready).ok());
            [ready, available]
        });
        let next = next.flatten().filter(|at| *at > now).min();
        if generation == observed && known.iter().zip(&counted).all(same) {
            let until = next.unwrap_or(Timestamp::MAX);
            self.settled
                .insert(set.uid.clone(), (object.version, until));
            return;
        }
        let status = json!({ "status": {
            "replicas": pods.len(),
            "fullyLabeledReplicas": pods.len(),
            "readyReplicas": ready,
            "availableReplicas": available,
            "observedGeneration": generation,
        } });
        // The set was read from this store a moment ago, so the write cannot be refused.
        let _ = store.merge(&object.key, Part::Status, &Expected::default(), &status);
    }

    /// Makes every ready pod of a ReplicaSet start anew.
    pub fn crash(&mut self, set: &Object, now: Timestamp) {
        self.settled.remove(set.uid());
        let ready_at = self
            .behaviour(set)
            .ready_after
            .and_then(|after| now.checked_add(after).ok());
        for pod in self.pods.get_mut(set.uid()).into_iter().flatten() {
            pod.ready_at = ready_at;
        }
    }

    /// All pods, as they are seen.
    #[must_use]
    pub fn pods(&self) -> Vec<sluice_rollout::Pod> {
        let all = self.pods.values().flatten();
        all.map(|pod| pod.seen.clone()).collect()
    }

    /// Lets a pod go, unless a budget refuses it: then false. Its ReplicaSet makes another one.
    pub fn evict(&mut self, uid: &str) -> bool {
        if self.refuses_evictions {
            return false;
        }
        for pods in self.pods.values_mut() {
            pods.retain(|pod| pod.seen.uid != uid);
        }
        self.settled.clear();
        self.changed = true;
        true
    }

    /// Whether pods came, went or got other labels since the last call.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Changes labels and annotations of a pod.
    pub fn patch(
        &mut self,
        uid: &str,
        labels: &BTreeMap<String, Option<String>>,
        annotations: &BTreeMap<String, Option<String>>,
    ) {
        self.changed = true;
        let pod = self.pods.values_mut().flatten();
        for pod in pod.filter(|pod| pod.seen.uid == uid) {
            merge(&mut pod.seen.labels, labels);
            merge(&mut pod.seen.annotations, annotations);
        }
    }

    /// Pods of a ReplicaSet that are ready at a time.
    #[must_use]
    pub fn ready(&self, set: &Object, now: Timestamp) -> usize {
        self.pods
            .get(set.uid())
            .into_iter()
            .flatten()
            .filter(|pod| pod.ready_at.is_some_and(|at| at <= now))
            .count()
    }

    /// When the next pod becomes ready or available.
    #[must_use]
    pub fn next_change(&self, store: &Store) -> Option<Timestamp> {
        let mut next: Option<Timestamp> = None;
        for object in store.objects("ReplicaSet") {
            let Some(set) = object.replica_set() else {
                continue;
            };
            let min_ready = SignedDuration::from_secs(i64::from(set.min_ready_seconds.max(0)));
            for pod in self.pods.get(&set.uid).into_iter().flatten() {
                let Some(ready) = pod.ready_at else { continue };
                let available = ready.checked_add(min_ready).ok();
                for at in [Some(ready), available].into_iter().flatten() {
                    if at > store.now && next.is_none_or(|next| at < next) {
                        next = Some(at);
                    }
                }
            }
        }
        next
    }
}

fn merge(into: &mut BTreeMap<String, String>, changes: &BTreeMap<String, Option<String>>) {
    for (key, value) in changes {
        match value {
            Some(value) => into.insert(key.clone(), value.clone()),
            None => into.remove(key),
        };
    }
}

/// A new pod of a ReplicaSet.
fn pod(set: &Object, number: u64, now: Timestamp) -> sluice_rollout::Pod {
    let map = |pointer: &str| {
        let map = set.at(pointer).and_then(Value::as_object);
        map.into_iter()
            .flatten()
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
            .collect()
    };
    sluice_rollout::Pod {
        name: format!("{}-{number}", set.key.name),
        uid: format!("pod-{number}"),
        created: now,
        deleting: false,
        labels: map("/spec/template/metadata/labels"),
        annotations: map("/spec/template/metadata/annotations"),
        owner: Some(set.uid().to_owned()),
    }
}
