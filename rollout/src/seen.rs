//! What one decision looks at: the [`World`], and what follows from it at once — which ReplicaSet plays which role, and
//! what the routers and Services point at.
//!
//! Everything here is derived from observation and holds for one pass; what is decided goes into [`crate::draft`].

use std::borrow::Cow;
use std::sync::LazyLock;

use jiff::Timestamp;

use sluice_crds::names;
use sluice_crds::rollout::{BlueGreenStrategy, CanaryStep, CanaryStrategy, RolloutStatus};
use sluice_crds::split::{ShownRoutes, SplitRoute, WeightedService};

use crate::basis::Hashes;
use crate::replicas::available;
use crate::revision::Sets;
use crate::world::{ReplicaSet, Service, World};

/// The facts of one pass.
#[derive(Clone)]
pub(crate) struct Seen<'a> {
    pub(crate) world: &'a World<'a>,
    /// Whole seconds.
    pub(crate) now: Timestamp,
    /// The canary strategy; of a blue-green, which has no steps, routes or surge, one without any field.
    pub(crate) canary: &'a CanaryStrategy,
    /// The blue-green strategy, when that is the one in use.
    pub(crate) blue_green: Option<&'a BlueGreenStrategy>,
    /// `spec.replicas`.
    pub(crate) replicas: i32,
    /// What all weights sum to.
    pub(crate) max_weight: i32,
    /// What names the revision that the spec asks for.
    pub(crate) hashes: Cow<'a, Hashes>,
    /// Which ReplicaSet plays which role.
    pub(crate) sets: Sets<'a>,
    /// The routers; `None` without traffic routing.
    pub(crate) route: Option<Route>,
}

/// What the routers show, all taken together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Route {
    /// Lowest canary weight that any of them shows.
    pub(crate) lowest: i32,
    /// Highest canary weight that any of them shows.
    pub(crate) highest: i32,
    /// `object: why`, for those that cannot be read.
    pub(crate) unreadable: Vec<String>,
    /// Those that say themselves that their router does not take them.
    pub(crate) refused: Vec<String>,
    /// Whether at least one confirms and none refuses.
    pub(crate) confirmed: bool,
    /// The header and mirror routes of those objects that carry some, or could.
    pub(crate) routes: Vec<(String, ShownRoutes)>,
    /// Of each object that can be read, the Services of experiments with their weights, in the order of names.
    pub(crate) experiments: Vec<Vec<(String, i32)>>,
}

impl Route {
    fn read(world: &World<'_>) -> Self {
        let Ok(observed) = world.traffic else {
            let unreadable =
                vec!["spec.strategy.canary.trafficRouting: cannot be driven".to_owned()];
            return Self {
                unreadable,
                ..Self::default()
            };
        };
        let weights = || {
            observed
                .iter()
                .filter_map(|split| split.canary.as_ref().ok())
                .map(|weight| (*weight).max(0))
        };
        let mut unreadable: Vec<String> = observed
            .iter()
            .filter_map(|split| {
                Some(format!(
                    "{}: {}",
                    split.object,
                    split.canary.as_ref().err()?
                ))
            })
            .collect();
        if observed.is_empty() {
            unreadable
                .push("spec.strategy.canary.trafficRouting: names no router object".to_owned());
        }
        let mut refused: Vec<String> = observed
            .iter()
            .filter(|split| split.accepted == Some(false))
            .map(|split| split.object.clone())
            .collect();
        let mut routes: Vec<(String, ShownRoutes)> = observed
            .iter()
            .filter_map(|split| Some((split.object.clone(), split.routes.clone()?)))
            .collect();
        routes.sort_by(|a, b| a.0.cmp(&b.0));
        unreadable.sort();
        refused.sort();
        Self {
            lowest: weights().min().unwrap_or(0),
            highest: weights().max().unwrap_or(0),
            confirmed: refused.is_empty()
                && observed.iter().any(|split| split.accepted == Some(true)),
            unreadable,
            refused,
            routes,
            experiments: observed
                .iter()
                .filter(|split| split.canary.is_ok())
                .map(|split| split.additional.clone())
                .collect(),
        }
    }

    /// Whether every object that can be read gives these experiments their weights, and none to others.
    pub(crate) fn shows_experiments(&self, wanted: &[WeightedService]) -> bool {
        let mut wanted: Vec<(&str, i32)> = wanted
            .iter()
            .map(|it| (it.service.as_str(), it.weight))
            .collect();
        wanted.sort_unstable();
        self.experiments.iter().all(|shown| {
            let shown = shown.iter().map(|(name, weight)| (name.as_str(), *weight));
            shown.eq(wanted.iter().copied())
        })
    }

    /// The least that any object gives to experiments.
    pub(crate) fn least_experiments(&self) -> i64 {
        let sums = self
            .experiments
            .iter()
            .map(|shown| shown.iter().map(|(_, weight)| i64::from(*weight)).sum());
        sums.min().unwrap_or(0)
    }

    /// Whether every router was read and shows this weight.
    pub(crate) fn shows(&self, weight: i32) -> bool {
        self.unreadable.is_empty() && self.lowest == weight && self.highest == weight
    }

    /// Whether no router sends anything to the canary side.
    pub(crate) fn is_quiet(&self) -> bool {
        self.shows(0) && !self.has_routes()
    }

    /// Whether any object has header or mirror routes.
    pub(crate) fn has_routes(&self) -> bool {
        let clean = |shown: &ShownRoutes| shown.intact && shown.routes.is_empty();
        !self.routes.iter().all(|(_, shown)| clean(shown))
    }

    /// Whether every object that carries header and mirror routes has these, and none that is not among them.
    pub(crate) fn shows_routes(&self, wanted: &[SplitRoute]) -> bool {
        let mut all = self.routes.iter();
        all.all(|(_, shown)| shown.intact && shown.routes == wanted)
            && (wanted.is_empty() || !self.routes.is_empty())
    }

    /// Why the header and mirror routes of the steps cannot be made, for a person.
    pub(crate) fn routes_problem(&self) -> Option<String> {
        let mut all = self.routes.iter();
        all.find_map(|(object, shown)| Some(format!("{object}: {}", shown.problem.as_ref()?)))
    }

    /// Why nothing may be raised or taken away now, for a person; `None` when all is well.
    pub(crate) fn problem(&self) -> Option<String> {
        if !self.unreadable.is_empty() {
            return Some(format!(
                "traffic routing holds: {}",
                self.unreadable.join("; ")
            ));
        }
        if !self.refused.is_empty() {
            let objects = self.refused.join(", ");
            return Some(format!(
                "traffic routing holds: not accepted by its router: {objects}"
            ));
        }
        None
    }
}

/// What a blue-green has of a canary.
static NO_CANARY: LazyLock<CanaryStrategy> = LazyLock::new(CanaryStrategy::default);

impl<'a> Seen<'a> {
    /// The facts of a world; `None` when its Rollout has no strategy.
    pub(crate) fn of(world: &'a World<'a>, now: Timestamp) -> Option<Self> {
        let spec = &world.rollout.spec;
        let (canary, blue_green) = match (spec.canary(), spec.blue_green()) {
            (Some(canary), _) => (canary, None),
            (None, Some(blue_green)) => (&*NO_CANARY, Some(blue_green)),
            (None, None) => return None,
        };
        let routed = canary.traffic_routing.is_some();
        let hashes = Hashes::in_world(world);
        Some(Self {
            world,
            now,
            canary,
            blue_green,
            replicas: world.rollout.spec.replicas().min(MOST_PODS),
            max_weight: if routed {
                canary.max_weight().max(1)
            } else {
                100
            },
            sets: Sets::find(world, &hashes),
            hashes,
            route: routed.then(|| Route::read(world)),
        })
    }

    pub(crate) fn steps(&self) -> &'a [CanaryStep] {
        self.canary.steps()
    }

    /// Name of the Rollout.
    pub(crate) fn name(&self) -> &'a str {
        self.world
            .rollout
            .metadata
            .name
            .as_deref()
            .unwrap_or_default()
    }

    /// The new and the stable set, while they differ: an update is under way.
    pub(crate) fn update(&self) -> Option<(&'a ReplicaSet, &'a ReplicaSet)> {
        let (new, stable) = (self.sets.new?, self.sets.stable?);
        (new.name != stable.name).then_some((new, stable))
    }

    /// Whether the template is that of the stable revision.
    pub(crate) fn is_stable(&self) -> bool {
        self.sets
            .stable
            .is_some_and(|stable| stable.hash() == Some(self.sets.hash.as_str()))
    }

    /// Whether the spec pauses the Rollout by hand.
    pub(crate) fn paused_by_hand(&self) -> bool {
        self.world.rollout.spec.paused == Some(true)
    }

    /// Whether scaling rests: paused by hand, or an inconclusive analysis waits for a person.
    pub(crate) fn scaling_rests(&self, status: &RolloutStatus) -> bool {
        self.paused_by_hand() || crate::pause::waits_on_inconclusive(status)
    }

    /// A Service that the strategy names, when it exists.
    pub(crate) fn service(&self, name: Option<&String>) -> Option<&'a Service> {
        self.world.services.get(name?)
    }

    /// The Service of the canary side.
    pub(crate) fn canary_service(&self) -> Option<&'a Service> {
        self.service(self.canary_service_name())
    }

    /// Name of the Service of the canary side. Of a pair that swaps roles, the one that is not stable.
    pub(crate) fn canary_service_name(&self) -> Option<&'a String> {
        match &self.canary.ping_pong {
            None => self.canary.canary_service.as_ref(),
            Some(pair) if self.ping_is_stable() => pair.pong_service.as_ref(),
            Some(pair) => pair.ping_service.as_ref(),
        }
    }

    /// Name of the Service of the stable side. Of a pair that swaps roles, the one that the status calls so; before the
    /// first promotion that is pong.
    pub(crate) fn stable_service_name(&self) -> Option<&'a String> {
        match &self.canary.ping_pong {
            None => self.canary.stable_service.as_ref(),
            Some(pair) if self.ping_is_stable() => pair.ping_service.as_ref(),
            Some(pair) => pair.pong_service.as_ref(),
        }
    }

    /// Whether ping is the stable one of the pair.
    pub(crate) fn ping_is_stable(&self) -> bool {
        let status = self.world.rollout.status.as_ref();
        let canary = status.and_then(|status| status.canary.as_ref());
        canary.and_then(|canary| canary.stable_ping_pong.as_deref()) == Some(PING)
    }

    /// The Service of the stable side.
    pub(crate) fn stable_service(&self) -> Option<&'a Service> {
        self.service(self.stable_service_name())
    }

    /// The Service of a blue-green that carries production traffic.
    pub(crate) fn active_service(&self) -> Option<&'a Service> {
        self.service(self.blue_green?.active_service.as_ref())
    }

    /// The Service of a blue-green that shows the new revision before the switch.
    pub(crate) fn preview_service(&self) -> Option<&'a Service> {
        self.service(self.blue_green?.preview_service.as_ref())
    }

    /// Whether the strategy names a Service.
    pub(crate) fn names_service(&self, name: &str) -> bool {
        let pair = self.canary.ping_pong.as_ref();
        let blue_green = self.blue_green;
        [
            self.canary.canary_service.as_deref(),
            self.canary.stable_service.as_deref(),
            pair.and_then(|pair| pair.ping_service.as_deref()),
            pair.and_then(|pair| pair.pong_service.as_deref()),
            blue_green.and_then(|strategy| strategy.active_service.as_deref()),
            blue_green.and_then(|strategy| strategy.preview_service.as_deref()),
        ]
        .contains(&Some(name))
    }

    /// Services that still select one revision of this Rollout, though its strategy names them no more.
    pub(crate) fn left_services(&self) -> impl Iterator<Item = &'a Service> + use<'a, '_> {
        self.world.services.values().filter(|service| {
            !self.names_service(&service.name) && service.hash().is_some() && self.manages(service)
        })
    }

    /// Whether a Service says that this Rollout manages it.
    pub(crate) fn manages(&self, service: &Service) -> bool {
        let own = self.world.rollout.metadata.name.as_ref();
        own.is_some() && service.annotations.get(names::MANAGED_BY_ROLLOUTS) == own
    }

    /// Whether a Service that the strategy names no more still selects a set.
    pub(crate) fn is_left_behind(&self, set: &ReplicaSet) -> bool {
        self.left_services()
            .any(|service| service.hash() == set.hash())
    }

    /// The set that a Service selects.
    pub(crate) fn behind(&self, service: Option<&Service>) -> Option<&'a ReplicaSet> {
        let hash = service?.hash()?;
        self.sets.all().find(|set| set.hash() == Some(hash))
    }

    /// Available pods that requests to a Service can reach: those of the revision that it selects, or every pod while it
    /// does not select by revision.
    pub(crate) fn reachable(&self, service: Option<&Service>) -> i32 {
        match service.map(Service::hash) {
            None => 0,
            Some(Some(_)) => self.behind(service).map_or(0, available),
            Some(None) => self.sets.all().map(available).fold(0, i32::saturating_add),
        }
    }

    /// Pods that a set must keep for the traffic that it gets now: of what the routers send, its share of
    /// `spec.replicas`, rounded up; all of `spec.replicas` behind the active Service of a blue-green. A router that
    /// cannot be read may send everything.
    pub(crate) fn pods_needed(&self, set: &ReplicaSet) -> i32 {
        if self.blue_green.is_some() {
            let reached = self
                .active_service()
                .is_some_and(|active| active.hash().is_none() || active.hash() == set.hash());
            return if reached { self.replicas } else { 0 };
        }
        let Some(route) = &self.route else { return 0 };
        let unknown = !route.unreadable.is_empty();
        let is = |other: Option<&ReplicaSet>| other.is_some_and(|other| other.name == set.name);
        let mut share = 0;
        if is(self.behind(self.canary_service())) {
            share = if unknown {
                self.max_weight
            } else {
                route.highest
            };
        }
        if is(self.behind(self.stable_service())) {
            share = share.saturating_add(if unknown {
                self.max_weight
            } else {
                self.max_weight.saturating_sub(route.lowest)
            });
        }
        let pods = share_of(
            self.replicas,
            share.clamp(0, self.max_weight),
            self.max_weight,
        );
        // How many requests come by a header nobody knows; they need somebody who answers.
        let by_header = route.has_routes() && is(self.behind(self.canary_service()));
        pods.max(i32::from(by_header && self.replicas > 0))
    }
}

/// Value of `status.canary.stablePingPong`.
pub(crate) const PING: &str = "ping";
/// Value of `status.canary.stablePingPong`.
pub(crate) const PONG: &str = "pong";

/// More pods than any cluster has; numbers beyond it count as this, so that sums of them are numbers too.
pub(crate) const MOST_PODS: i32 = 1 << 26;

/// `ceil(replicas * weight / max)`.
pub(crate) fn share_of(replicas: i32, weight: i32, max: i32) -> i32 {
    let max = i64::from(max.max(1));
    let product = i64::from(replicas.max(0)) * i64::from(weight.max(0));
    i32::try_from((product + max - 1) / max).unwrap_or(i32::MAX)
}
