//! Services of a Rollout that is gone.

use std::collections::BTreeSet;
use std::sync::Arc;

use sluice_crds::names::MANAGED_BY_ROLLOUTS;
use sluice_rollout::Service;

use super::act::{Act, Write};
use super::{Controller, Pass};
use crate::store::{Key, Object};

impl Controller {
    /// Marks the Rollouts that manage Services and are not in the cache.
    pub(super) fn wake_managers(&mut self) {
        let named = self.view.list("Service").filter_map(|object| {
            let manager = manager(object)?;
            Some(Key::new("Rollout", &object.key.namespace, manager))
        });
        let gone: BTreeSet<Key> = named.filter(|key| self.view.get(key).is_none()).collect();
        self.dirty.extend(gone.into_iter().map(Arc::new));
    }

    /// Lets the Services of a Rollout go that is not in the cache, if there is none.
    pub(super) fn gone(&mut self, key: &Arc<Key>, mut act: Act<'_>) -> Pass {
        let (view, now) = (&self.view, act.now);
        let services: Vec<Service> = view
            .list("Service")
            .filter(|it| it.key.namespace == key.namespace)
            .filter(|it| manager(it) == Some(&key.name))
            .filter_map(|it| it.service().cloned())
            .collect();
        let set = |name: &str| {
            let set = view.get(&Key::new("ReplicaSet", &key.namespace, name))?;
            Some(set.value().clone())
        };
        let releases = (self.engine.release)(&key.namespace, &key.name, &services, &set);
        if releases.is_empty() || key.kind != "Rollout" || act.store.get(key).is_some() {
            return Pass::Gone;
        }
        for release in releases {
            if let Err(pass) = act.send(&Write::Release, &release.request) {
                self.again(key, now);
                return pass;
            }
            self.events.push((now, release.event));
        }
        Pass::Done { writes: act.writes }
    }
}

/// The Rollout that a Service says it is managed by.
fn manager(service: &Object) -> Option<&str> {
    let annotations = &service.service()?.annotations;
    annotations.get(MANAGED_BY_ROLLOUTS).map(String::as_str)
}
