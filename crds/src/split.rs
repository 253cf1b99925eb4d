//! The language between the engine, which wants a split of traffic, and the routers, which make it.
//!
//! The engine says *what* (a [`Split`]); `sluice-traffic` turns it into edits of router objects and reads back what
//! those objects say now (an [`ObservedSplit`]). Neither knows the other.

use serde::{Deserialize, Serialize};

/// The split of traffic that a Rollout wants at one moment.
///
/// Weights are parts of `max`; `canary` is in `0..=max` and the stable side gets the rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// `maxTrafficWeight`, 100 unless the router is told otherwise.
    pub max: i32,
    /// Weight of the canary side.
    pub canary: i32,
    /// Name of the Service of the canary side.
    pub canary_service: String,
    /// Name of the Service of the stable side.
    pub stable_service: String,
    /// Pod-template hash behind the canary side; `None` while there is no canary.
    pub canary_hash: Option<String>,
    /// Pod-template hash behind the stable side; `None` before the first promotion.
    pub stable_hash: Option<String>,
    /// Further destinations (experiment templates), each with a weight taken from the stable side.
    pub additional: Vec<WeightedService>,
}

impl Split {
    /// Weight of the stable side: what the canary and the additional destinations leave.
    #[must_use]
    pub fn stable(&self) -> i32 {
        let additional: i32 = self
            .additional
            .iter()
            .map(|destination| destination.weight)
            .sum();
        (self.max - self.canary - additional).max(0)
    }
}

/// One further destination of a [`Split`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WeightedService {
    /// Name of the Service.
    pub service: String,
    /// Its pod-template hash.
    pub hash: String,
    /// Its weight, a part of `Split::max`.
    pub weight: i32,
}

/// What one router object says now, or one rule of it when several of its rules split the traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedSplit {
    /// The object, as in `HTTPRoute default/web` or `HTTPRoute default/web rule api`.
    pub object: String,
    /// Field of the Rollout that names it, as in `spec.strategy.canary.trafficRouting.nginx.stableIngress`.
    pub field: String,
    /// The canary weight that it carries, scaled to `Split::max`; `Err` says why it cannot be read (object or
    /// backend missing, malformed) in words for the person who wrote the manifest.
    pub canary: Result<i32, String>,
    /// False when the router itself reports that it has not taken the object over (for example an HTTPRoute whose
    /// `Accepted` condition is False); `None` when the router says nothing.
    pub accepted: Option<bool>,
}
