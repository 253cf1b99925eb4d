//! The language between the engine, which wants a split of traffic, and the routers, which make it.
//!
//! The engine says *what* (a [`Split`]); `sluice-traffic` turns it into edits of router objects and reads back what
//! those objects say now (an [`ObservedSplit`]). Neither knows the other.

use serde::{Deserialize, Serialize};

use crate::rollout::CanaryStep;
use crate::rollout::steps::{HeaderRoutingMatch, RouteMatch};

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
    /// Header and mirror routes that must exist, highest priority first; all others of the Rollout must not.
    #[serde(default)]
    pub routes: Vec<SplitRoute>,
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
    /// The ports of the Service, in the order of its containers. A router whose backends name a port takes the canary's
    /// when it is among them, else the first.
    #[serde(default)]
    pub ports: Vec<i32>,
}

/// A route of a [`Split`] beside its weights: one of `trafficRouting.managedRoutes`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitRoute {
    /// Its name in `managedRoutes`.
    pub name: String,
    /// What it does.
    pub kind: RouteKind,
}

/// What a [`SplitRoute`] does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RouteKind {
    /// Requests with all of these headers go to the canary side, whatever its weight (`setHeaderRoute`).
    Header(Vec<HeaderRoutingMatch>),
    /// Requests that one of the matches fits are split as all others are, and copied to the canary side as well
    /// (`setMirrorRoute`).
    Mirror {
        /// Which requests.
        matches: Vec<RouteMatch>,
        /// How many of them, 0 to 100; `None` means all.
        percentage: Option<i32>,
    },
}

/// The routes that a step makes; none for one that makes none or takes one away.
#[must_use]
pub fn routes_of(step: &CanaryStep) -> Vec<SplitRoute> {
    let header = step.set_header_route.as_ref().map(|step| {
        let matches = step.matches.clone().unwrap_or_default();
        (&step.name, !matches.is_empty(), RouteKind::Header(matches))
    });
    let mirror = step.set_mirror_route.as_ref().map(|step| {
        let matches = step.matches.clone().unwrap_or_default();
        let percentage = step.percentage;
        let makes = !matches.is_empty();
        (
            &step.name,
            makes,
            RouteKind::Mirror {
                matches,
                percentage,
            },
        )
    });
    header
        .into_iter()
        .chain(mirror)
        .filter(|(_, makes, _)| *makes)
        .map(|(name, _, kind)| SplitRoute {
            name: name.clone().unwrap_or_default(),
            kind,
        })
        .collect()
}

/// The header and mirror routes of a Rollout that one router object has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownRoutes {
    /// Those that were told last, highest priority first.
    pub routes: Vec<SplitRoute>,
    /// Whether the object has exactly what they mean, and nothing left of others.
    pub intact: bool,
    /// Why the object cannot have the routes of the Rollout's steps, in words for a person.
    pub problem: Option<String>,
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
    /// The header and mirror routes that it has; `None` for an object that carries none.
    #[serde(default)]
    pub routes: Option<ShownRoutes>,
    /// The further destinations that it has: each Service with its weight, scaled to `Split::max`, in the order of names.
    #[serde(default)]
    pub additional: Vec<(String, i32)>,
}
