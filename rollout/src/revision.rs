//! Which ReplicaSet is which: the one of the present template (new), the last promoted one (stable), the others (older);
//! making the new one; its revision number and its copied metadata; taking over sets without an owner.
//!
//! The new set is found, in this order, by
//! 1. the hash that the status remembers, if its template equals the present one (a set made under another hash format);
//! 2. the hash of the present template;
//! 3. equality of templates (an undo across hash formats).
//!
//! So an installation of another controller, or of an older hash format, is taken over without a restarted pod.

use std::cell::LazyCell;
use std::collections::BTreeMap;

use sluice_crds::names;
use sluice_crds::pod_template::PodTemplate;

use crate::basis::{Hashes, NO_TEMPLATE};
use crate::draft::{Draft, EventSlot, Slot};
use crate::plan::{Effect, EventType, NewReplicaSet};
use crate::seen::Seen;
use crate::world::{ReplicaSet, World};
use crate::{anti_affinity, equality, hash, metadata, ping_pong};

/// The ReplicaSets of a Rollout by role.
#[derive(Debug, Clone)]
pub(crate) struct Sets<'a> {
    /// Pod-template hash of the present template: that of `new` when there is one.
    pub(crate) hash: String,
    /// The set of the present template.
    pub(crate) new: Option<&'a ReplicaSet>,
    /// The set that was promoted last; the same as `new` when that is the one.
    pub(crate) stable: Option<&'a ReplicaSet>,
    /// The others, newest revision first.
    pub(crate) older: Vec<&'a ReplicaSet>,
    /// A set of the present template that is being deleted: its name is not free yet.
    pub(crate) leaving: bool,
    /// `status.collisionCount`: how often the hash met that of another template.
    pub(crate) collisions: Option<i32>,
}

impl<'a> Sets<'a> {
    /// Assigns the roles.
    pub(crate) fn find(world: &'a World<'a>, hashes: &Hashes) -> Self {
        let status = world.rollout.status.as_ref();
        let template = world.rollout.spec.template.as_ref().unwrap_or(&NO_TEMPLATE);
        let mut mine: Vec<&ReplicaSet> = world
            .replica_sets
            .iter()
            .filter(|set| set.hash().is_some_and(|hash| !hash.is_empty()))
            .filter(|set| set.owner.is_none() || set.owner == world.rollout.metadata.uid)
            .collect();
        // Newest revision first; the rest only makes the order total.
        mine.sort_by(|a, b| {
            let key = |set: &ReplicaSet| (set.revision(), set.created);
            key(b).cmp(&key(a)).then_with(|| a.name.cmp(&b.name))
        });
        let known = status.and_then(|status| status.collision_count);
        let (computed, collisions) = free_hash(hashes, known, &mine);
        let leaving = mine
            .iter()
            .any(|set| set.deleting && set.hash() == Some(&computed));
        mine.retain(|set| !set.deleting);
        let with_hash = |hash: &str| mine.iter().copied().find(|set| set.hash() == Some(hash));
        let wanted = LazyCell::new(|| (template.images(), equality::canonical(template)));
        let equal = |set: &&ReplicaSet| {
            let (images, wanted) = &*wanted;
            // Most sets have other images, which is soon seen.
            if set.template.images() != *images {
                return false;
            }
            let live = equality::canonical(&anti_affinity::without_injections(set));
            equality::same_template(wanted, &live)
        };
        let new = status
            .and_then(|status| status.current_pod_hash.as_deref())
            .and_then(with_hash)
            .filter(|set| set.hash() == Some(&computed) || equal(set))
            .or_else(|| with_hash(&computed))
            .or_else(|| mine.iter().copied().find(equal));
        let hash = new
            .and_then(ReplicaSet::hash)
            .map_or(computed, str::to_owned);
        let stable = stable_hash(world).and_then(with_hash);
        let role =
            |set: &ReplicaSet, role: Option<&ReplicaSet>| role.is_some_and(|r| r.name == set.name);
        let older = mine
            .iter()
            .copied()
            .filter(|set| !role(set, new) && !role(set, stable))
            .collect();
        Self {
            hash,
            new,
            stable,
            older,
            leaving,
            collisions,
        }
    }

    /// Every set once: new, stable, older.
    pub(crate) fn all(&self) -> impl Iterator<Item = &'a ReplicaSet> + use<'a, '_> {
        let stable = self
            .stable
            .filter(|stable| self.new.is_none_or(|new| new.name != stable.name));
        self.new
            .into_iter()
            .chain(stable)
            .chain(self.older.iter().copied())
    }

    /// The revision number of the present template: that of its set, or above all others.
    pub(crate) fn revision(&self) -> i64 {
        let others = self
            .all()
            .filter(|set| Some(set.name.as_str()) != self.new.map(|new| new.name.as_str()));
        let next = others.map(ReplicaSet::revision).max().unwrap_or(0) + 1;
        next.max(self.new.map_or(0, ReplicaSet::revision))
    }
}

/// Hashes that are tried before one that is taken counts as free after all.
const ATTEMPTS: i32 = 16;

/// The hash of a template that no set of another template has, and the collision count that makes it so.
fn free_hash(hashes: &Hashes, known: Option<i32>, sets: &[&ReplicaSet]) -> (String, Option<i32>) {
    let mut count = known;
    for _ in 0..ATTEMPTS {
        let hash = hash::hash_of_json(&hashes.template, count);
        let taken = sets
            .iter()
            .any(|set| set.hash() == Some(&hash) && is_of_another(&hashes.digest, set));
        if !taken {
            return (hash, count);
        }
        count = Some(count.unwrap_or(0).saturating_add(1));
    }
    (hash::hash_of_json(&hashes.template, known), known)
}

/// Whether a set was certainly made for another template. Its own template does not tell: the API server and admission
/// webhooks change that, images included. Sets of another controller do not say what they were made for.
fn is_of_another(digest: &str, set: &ReplicaSet) -> bool {
    let made_for = set.annotations.get(names::TEMPLATE_DIGEST);
    made_for.is_some_and(|made_for| made_for != digest)
}

/// The hash of the stable revision: what the status says, or, when the status is lost, what the stable Service (or
/// the active one) that this Rollout manages selects.
fn stable_hash<'a>(world: &'a World<'a>) -> Option<&'a str> {
    let status = world.rollout.status.as_ref();
    let known = status
        .and_then(|status| status.stable_rs.as_deref())
        .filter(|hash| !hash.is_empty());
    known.or_else(|| {
        let spec = &world.rollout.spec;
        let service = match (spec.canary(), spec.blue_green()) {
            (Some(canary), _) => match &canary.ping_pong {
                None => canary.stable_service.as_ref(),
                Some(pair) => ping_pong::stable_service(status, pair),
            },
            (None, blue_green) => blue_green?.active_service.as_ref(),
        };
        let service = world.services.get(service?)?;
        let manager = service.annotations.get(names::MANAGED_BY_ROLLOUTS);
        (manager.is_some() && manager == world.rollout.metadata.name.as_ref())
            .then(|| service.hash())?
    })
}

/// Makes the new set when it is missing; keeps revision numbers and copied metadata; takes over sets without an owner.
pub(crate) fn sync(seen: &Seen<'_>, draft: &mut Draft) {
    for set in seen.sets.all().filter(|set| set.owner.is_none()) {
        draft.set(set).adopt = true;
    }
    draft.status.collision_count = seen.sets.collisions;
    let revision = seen.sets.revision();
    draft.annotate_rollout(names::REVISION, &revision.to_string());
    match seen.sets.new {
        Some(new) => keep_metadata(seen, new, revision, draft),
        None if seen.sets.leaving => {}
        None => {
            let set = new_replica_set(seen, revision);
            let message = format!("Created ReplicaSet {} (revision {revision})", set.name);
            draft.event(
                EventSlot::Created,
                EventType::Normal,
                "NewReplicaSetCreated",
                message,
            );
            draft.effect(Slot::Create, Effect::CreateReplicaSet(Box::new(set)));
        }
    }
}

fn keep_metadata(seen: &Seen<'_>, new: &ReplicaSet, revision: i64, draft: &mut Draft) {
    let edit = draft.set(new);
    if new.revision() != revision {
        edit.annotate(names::REVISION, revision.to_string());
        // An undo: the numbers that this template had before are kept.
        if new.revision() > 0 {
            let before = new
                .annotations
                .get(names::REVISION_HISTORY)
                .map(String::as_str);
            let history = match before.filter(|history| !history.is_empty()) {
                Some(history) => format!("{history},{}", new.revision()),
                None => new.revision().to_string(),
            };
            edit.annotate(names::REVISION_HISTORY, history);
        }
    }
    for (key, value) in copied_annotations(seen) {
        edit.annotate(&key, value);
    }
    let min_ready = seen.world.rollout.spec.min_ready_seconds();
    if new.min_ready_seconds != min_ready {
        edit.min_ready_seconds = Some(min_ready);
    }
    // The number that the sets were last scaled for; while scaling rests it shows that a change of size waits.
    if !seen.scaling_rests(&draft.status) {
        for set in [Some(new), seen.sets.stable]
            .into_iter()
            .flatten()
            .filter(|set| set.replicas > 0)
        {
            draft
                .set(set)
                .annotate(names::DESIRED_REPLICAS, seen.replicas.to_string());
        }
    }
}

/// Annotations of the Rollout that its ReplicaSets carry too. Those that say something about the Rollout as an object
/// (who applied it, who was told about it) stay behind.
fn copied_annotations(seen: &Seen<'_>) -> BTreeMap<String, String> {
    const OWN: [&str; 6] = [
        "kubectl.kubernetes.io/last-applied-configuration",
        names::REVISION,
        names::REVISION_HISTORY,
        names::DESIRED_REPLICAS,
        names::WORKLOAD_GENERATION,
        names::TRACKING_ID,
    ];
    let annotations = seen.world.rollout.metadata.annotations.iter().flatten();
    annotations
        .filter(|(key, _)| !OWN.contains(&key.as_str()))
        .filter(|(key, _)| !key.contains("notified.") && !key.starts_with("sluice.dev/"))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

fn new_replica_set(seen: &Seen<'_>, revision: i64) -> NewReplicaSet {
    let spec = &seen.world.rollout.spec;
    let hash = seen.sets.hash.clone();
    let mut template: PodTemplate = spec.template.clone().unwrap_or_default();
    let digest = seen.hashes.digest.clone();
    let labels = {
        template.set_label(names::POD_TEMPLATE_HASH, &hash);
        template.labels()
    };
    let mut annotations = copied_annotations(seen);
    metadata::inject(seen, &mut template, &mut annotations);
    anti_affinity::inject(seen, &mut template);
    let mut selector = spec.selector.clone().unwrap_or_default();
    selector
        .match_labels
        .get_or_insert_default()
        .insert(names::POD_TEMPLATE_HASH.to_owned(), hash.clone());
    annotations.insert(names::TEMPLATE_DIGEST.to_owned(), digest);
    annotations.insert(names::REVISION.to_owned(), revision.to_string());
    annotations.insert(
        names::DESIRED_REPLICAS.to_owned(),
        seen.replicas.to_string(),
    );
    NewReplicaSet {
        name: format!("{}-{hash}", seen.name()),
        labels,
        annotations,
        selector,
        template,
        min_ready_seconds: spec.min_ready_seconds(),
        hash,
    }
}
