//! Traffic beside the two sides: header and mirror routes, and the templates of an experiment.

use std::collections::BTreeMap;

use serde_json::Value;
use sluice_crds::decode;
use sluice_crds::rollout::Rollout;

use crate::schedule::Cluster;
use crate::store::Key;

/// What is there at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Beside {
    /// Header and mirror routes in words, highest priority first.
    routes: Vec<String>,
    /// Parts of `max` by Service.
    shares: BTreeMap<String, i32>,
    max: i32,
}

impl Beside {
    /// What the routers have now, and what they were told last.
    pub(super) fn of(cluster: &Cluster) -> Self {
        let object = cluster.rollout().cloned().unwrap_or_default();
        let Ok(rollout) = decode::decode::<Rollout>(&object) else {
            return Self::default();
        };
        let max = rollout
            .spec
            .canary()
            .map_or(100, |canary| canary.max_weight());
        let find = |wanted: &sluice_traffic::ObjectRef| -> Option<&Value> {
            let key = Key::new(&wanted.kind, &wanted.namespace, &wanted.name);
            cluster.store.get(&key)
        };
        let shown = sluice_traffic::observe(&rollout, &find, max);
        let routes = shown.into_iter().find_map(|router| router.routes);
        let status = rollout.status.and_then(|status| status.canary);
        let told = status.and_then(|canary| canary.weights?.additional);
        Self {
            routes: routes
                .into_iter()
                .flat_map(|shown| shown.routes)
                .map(|route| route.to_string())
                .collect(),
            shares: told
                .into_iter()
                .flatten()
                .filter_map(|it| Some((it.service_name?, it.weight)))
                .collect(),
            max,
        }
    }

    /// What is different since an earlier moment, in sentences.
    pub(super) fn since(&self, before: &Self) -> Vec<String> {
        let mut sentences = Vec::new();
        if self.routes != before.routes {
            let routes = match self.routes.as_slice() {
                [] => "none".to_owned(),
                routes => routes.join(", "),
            };
            sentences.push(format!("Header and mirror routes: {routes}"));
        }
        let percent = |of: &Self, service: &String| {
            let weight = of.shares.get(service).copied().unwrap_or(0);
            (weight * 100).checked_div(of.max).unwrap_or(0)
        };
        let gone = before
            .shares
            .keys()
            .filter(|service| !self.shares.contains_key(*service));
        for service in self.shares.keys().chain(gone) {
            let (from, to) = (percent(before, service), percent(self, service));
            if from != to {
                sentences.push(format!("Traffic to {service}: {from} % → {to} %"));
            }
        }
        sentences
    }
}
