//! Traffic routers: from a wanted split of traffic and the router objects that exist to the edits that make it so,
//! and back from the objects to the split that they carry.
//!
//! Inputs are a [`Rollout`], a [`Split`] and whole API objects as JSON; outputs are plain data. One file for each
//! router: `gateway_api.rs`, `nginx.rs`, `traefik.rs`; Services are in [`service`].
//!
//! The way of one decision:
//!
//! ```text
//! referenced(rollout) ─→ what to watch, or the fields that cannot be driven
//! told_by(rollout, objects) ─→ what else to look at: what the gateways can
//! observe(rollout, objects, max) ─→ what each object says now
//! edits(rollout, split, objects) ─→ what to write; nothing when the objects say it already
//! ```
//!
//! Invariants, each held by a property test:
//! * edits touch the weights of the two backends, the mark of the Rollout, its own header and mirror rules, the backends
//!   that it added for experiments, and nothing else of an object that a person owns;
//! * after the edits, `observe` gives the wanted weight and there are no further edits;
//! * no shape of an object, however wrong, makes a function here panic: it becomes an `Err` in words.
//!
//! The crate is pure: no client, no clock, no file system.

mod edit;
mod experiments;
mod gateway_api;
mod managed;
mod metadata;
mod nginx;
mod object;
mod overlay;
pub mod service;
mod sides;
mod spec;
mod traefik;
mod weights;

use serde_json::Value;
use sluice_crds::rollout::Rollout;
use sluice_crds::split::{ObservedSplit, Split};

pub use edit::{Patch, RouteEdit};
pub use object::{FieldError, ObjectRef, RouterObject};
pub use overlay::{controlled_by, overlay_controlled};
use spec::Router;

/// Finds an object that was observed; `None` when it does not exist.
///
/// The version in the reference is the one to watch; an implementation may serve the object in another version of
/// the same group.
pub type Lookup<'f, 'a> = dyn Fn(&ObjectRef) -> Option<&'a Value> + 'f;

/// Every router object that the Rollout's `trafficRouting` names, in the order of the API; empty without traffic
/// routing.
///
/// # Errors
/// One error for each field that cannot be driven: routers and plugins that are not built in, options of built-in
/// routers that are not supported, and names that are missing or named twice. Nothing is ignored.
pub fn referenced(rollout: &Rollout) -> Result<Vec<RouterObject>, Vec<FieldError>> {
    let spec = spec::read(rollout);
    if spec.errors.is_empty() {
        Ok(spec.routers.iter().flat_map(Router::objects).collect())
    } else {
        Err(spec.errors)
    }
}

/// Further objects that tell whether the header and mirror routes of the Rollout's steps can be made: the Gateways of its
/// routes, and the classes of those Gateways, as far as `objects` finds what names them. So it is asked again with what it
/// named, until it names nothing new. An object that is not found tells nothing and stands in nobody's way.
#[must_use]
pub fn told_by(rollout: &Rollout, objects: &Lookup<'_, '_>) -> Vec<ObjectRef> {
    let routers = spec::read(rollout).routers;
    let gateways = routers.iter().filter_map(|router| match router {
        Router::Gateway(route) => Some(route.told_by(rollout, objects)),
        Router::Nginx(_) | Router::Traefik(_) => None,
    });
    gateways.flatten().collect()
}

/// What each router object says now, scaled to parts of `max`: one entry for each place that carries weights. That is
/// one for each object, or one for each rule of a route whose rules split the traffic several times.
///
/// All entries must show the wanted weight before the traffic counts as moved. Routers in fields that
/// [`referenced`] refuses have no entry.
#[must_use]
pub fn observe<'a>(rollout: &Rollout, objects: &Lookup<'_, 'a>, max: i32) -> Vec<ObservedSplit> {
    let Some(sides) = sides::of(rollout) else {
        return Vec::new();
    };
    spec::read(rollout)
        .routers
        .iter()
        .flat_map(|router| router.observe(rollout, &sides, objects, max))
        .collect()
}

/// What must be written so that the objects carry `split`; empty when they say it already.
///
/// Edits that take traffic from the canary come first. Every prefix of the list is safe. An object that does not
/// exist or cannot be understood gets no edit: [`observe`] says why. With a router that has no further destinations
/// `split.additional` must be empty, which [`referenced`] sees to.
///
/// Calling it is cheap, and it sees more than the weight (a canary Ingress whose stable Ingress got another host), so
/// it may be called with the split that is wanted anyway.
#[must_use]
pub fn edits<'a>(rollout: &Rollout, split: &Split, objects: &Lookup<'_, 'a>) -> Vec<RouteEdit> {
    if split.max <= 0 {
        return Vec::new();
    }
    let split = Split {
        canary: split.canary.clamp(0, split.max),
        ..split.clone()
    };
    let mut ranked: Vec<spec::Ranked> = spec::read(rollout)
        .routers
        .iter()
        .flat_map(|router| router.edits(rollout, &split, objects))
        .collect();
    ranked.sort_by_key(|edit| edit.raises_canary);
    ranked.into_iter().map(|ranked| ranked.edit).collect()
}

/// What to undo when a Rollout stops using the routers that `rollout` names: all traffic to the stable side, the
/// Rollout's mark taken off the routes, canary Ingresses deleted.
///
/// `rollout` is the Rollout as it was when it used them. Canary Ingresses that are left from a spec that is no longer
/// known are found with [`orphans`].
#[must_use]
pub fn removal<'a>(rollout: &Rollout, objects: &Lookup<'_, 'a>) -> Vec<RouteEdit> {
    let Some(sides) = sides::of(rollout) else {
        return Vec::new();
    };
    spec::read(rollout)
        .routers
        .iter()
        .flat_map(|router| router.removal(rollout, &sides, objects))
        .collect()
}

/// Deletions of those canary Ingresses among `owned` that the Rollout made and no longer names.
///
/// `owned` are Ingress objects of the Rollout's namespace; others than the Rollout's own are left alone.
#[must_use]
pub fn orphans(rollout: &Rollout, owned: &[&Value]) -> Vec<RouteEdit> {
    let spec = spec::read(rollout);
    let named: Vec<ObjectRef> = spec
        .routers
        .iter()
        .flat_map(Router::objects)
        .map(|object| object.object)
        .collect();
    owned
        .iter()
        .filter_map(|object| nginx::orphan(rollout, object, &named))
        .collect()
}
