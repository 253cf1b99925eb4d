//! `status`: what people and tools see.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;
use sluice_crds::Time;
use sluice_crds::application::status::{
    ApplicationCondition, ApplicationSummary, ComparedTo, HealthStatus, ResourceStatus, SyncStatus,
};
use sluice_crds::application::{Application, ApplicationStatus};

use super::world::Rendering;
use super::{AppPlan, EventNote, Setting, health_of};
use crate::compare::{Comparison, ResourceState};
use crate::health::{self, Health};
use crate::key::{Key, list, text};

/// Whole seconds, as the API writes times.
pub(crate) fn time(at: Timestamp) -> Time {
    Time(Timestamp::from_second(at.as_second()).unwrap_or(at))
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// What a comparison found.
pub(super) fn compared(
    status: &mut ApplicationStatus,
    setting: &Setting<'_>,
    head: &Rendering,
    comparison: &Comparison,
) {
    let many = setting.app.spec.has_multiple_sources();
    let types = &head.source_types;
    status.source_type = types.first().filter(|_| !many).cloned();
    status.source_types = many.then(|| types.clone());
    status.sync = Some(SyncStatus {
        status: comparison.sync.as_str().to_owned(),
        compared_to: Some(compared_to(setting.app)),
        revision: head.revisions.first().filter(|_| !many).cloned(),
        revisions: many.then(|| head.revisions.clone()),
    });
    let before = status.resources.take();
    status.resources = Some(
        comparison
            .resources
            .iter()
            .map(|state| resource(state, before.as_deref(), setting.now))
            .chain(hooks(setting, head))
            .collect(),
    );
    set_health(status, &health_of(setting, comparison), setting.now);
    status.summary = Some(summary(setting, comparison));
}

/// Hooks that are there: listed, without a sync status.
fn hooks<'a>(
    setting: &'a Setting<'_>,
    head: &'a Rendering,
) -> impl Iterator<Item = ResourceStatus> + 'a {
    head.targets
        .objects
        .iter()
        .filter(|target| target.hook.is_some())
        .filter(|target| setting.world.live.objects.contains_key(&target.key))
        .map(|target| ResourceStatus {
            hook: Some(true),
            ..identity(
                &target.key,
                target.api_version.rsplit('/').next().unwrap_or(""),
            )
        })
}

fn identity(key: &Key, version: &str) -> ResourceStatus {
    ResourceStatus {
        group: some(&key.kind.group),
        version: some(version),
        kind: some(&key.kind.kind),
        namespace: some(&key.namespace),
        name: some(&key.name),
        ..ResourceStatus::default()
    }
}

fn resource(
    state: &ResourceState,
    before: Option<&[ResourceStatus]>,
    now: Timestamp,
) -> ResourceStatus {
    let mut resource = identity(&state.key, &state.version);
    resource.status = Some(state.sync.as_str().to_owned());
    resource.requires_pruning = state.requires_pruning.then_some(true);
    resource.requires_deletion_confirmation = state.requires_confirmation.then_some(true);
    resource.sync_wave = (state.wave != 0).then_some(state.wave);
    let missing = Health::new(health::Code::Missing, "");
    let health = if state.live {
        state.health.as_ref()
    } else {
        Some(&missing)
    };
    let old = before
        .into_iter()
        .flatten()
        .find(|old| {
            old.group == resource.group
                && old.kind == resource.kind
                && old.namespace == resource.namespace
                && old.name == resource.name
        })
        .and_then(|old| old.health.clone());
    resource.health = health.map(|health| transition(old, health, now));
    resource
}

/// The new health; the time stays when the code stays.
fn transition(old: Option<HealthStatus>, health: &Health, now: Timestamp) -> HealthStatus {
    let code = health.code.as_str();
    let since = old
        .filter(|old| old.status.as_deref() == Some(code))
        .and_then(|old| old.last_transition_time);
    HealthStatus {
        status: Some(code.to_owned()),
        message: some(&health.message),
        last_transition_time: Some(since.unwrap_or_else(|| time(now))),
    }
}

fn set_health(status: &mut ApplicationStatus, health: &Health, now: Timestamp) {
    let old = status.health.take();
    status.health = Some(transition(old, health, now));
}

fn compared_to(app: &Application) -> ComparedTo {
    let many = app.spec.has_multiple_sources();
    ComparedTo {
        source: app.spec.source.clone().filter(|_| !many),
        sources: app.spec.sources.clone().filter(|_| many),
        destination: app.spec.destination.clone(),
        ignore_differences: app.spec.ignore_differences.clone(),
    }
}

/// Nothing can be told about sync, and with `health` not empty, nothing about health either.
pub(super) fn unknown(status: &mut ApplicationStatus, app: &Application, health: &str) {
    let sync = status.sync.get_or_insert_with(SyncStatus::default);
    sync.status = "Unknown".to_owned();
    sync.compared_to = Some(compared_to(app));
    for resource in status.resources.iter_mut().flatten() {
        if resource.status.is_some() {
            resource.status = Some("Unknown".to_owned());
        }
    }
    if !health.is_empty() {
        let since = status
            .health
            .take()
            .filter(|old| old.status.as_deref() == Some(health));
        status.health = Some(HealthStatus {
            status: Some(health.to_owned()),
            ..since.unwrap_or_default()
        });
    }
}

/// Without a rendering, the health of what the status lists can still be told.
pub(super) fn observe_health(status: &mut ApplicationStatus, setting: &Setting<'_>) {
    let keys: Vec<Key> = status
        .resources
        .iter()
        .flatten()
        .filter(|resource| resource.hook != Some(true))
        .map(|resource| {
            Key::new(
                resource.group.as_deref().unwrap_or(""),
                resource.kind.as_deref().unwrap_or(""),
                resource.namespace.as_deref().unwrap_or(""),
                resource.name.as_deref().unwrap_or(""),
            )
        })
        .collect();
    if keys.is_empty() {
        return;
    }
    let healths: Vec<Option<Health>> = keys
        .iter()
        .map(|key| setting.world.live.objects.get(key).and_then(health::of))
        .collect();
    let health = health::application(
        keys.iter()
            .zip(&healths)
            .map(|(key, health)| health::Member {
                key,
                live: setting.world.live.objects.get(key),
                health: health.as_ref(),
            }),
        &super::key_of(setting.app),
    );
    set_health(status, &health, setting.now);
}

/// Types of conditions that this controller writes; others belong to others and stay.
const OWN_CONDITIONS: [&str; 11] = [
    "InvalidSpecError",
    "ComparisonError",
    "SyncError",
    "DeletionError",
    "UnknownError",
    "SharedResourceWarning",
    "RepeatedResourceWarning",
    "ExcludedResourceWarning",
    "UnsupportedFieldWarning",
    "SourceWarning",
    "Quarantined",
];

/// Writes the conditions, in the order of their types; one that was there before keeps its time.
pub(super) fn set_conditions(
    status: &mut ApplicationStatus,
    app: &Application,
    conditions: &[(&'static str, String)],
    now: Timestamp,
) {
    let before = app
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_deref())
        .unwrap_or(&[]);
    let mut after: Vec<ApplicationCondition> = before
        .iter()
        .filter(|condition| !OWN_CONDITIONS.contains(&condition.kind.as_str()))
        .cloned()
        .collect();
    let mut sorted: Vec<&(&'static str, String)> = conditions.iter().collect();
    sorted.sort_unstable();
    sorted.dedup();
    for (kind, message) in sorted {
        let since = before
            .iter()
            .find(|old| old.kind == *kind && old.message == *message)
            .and_then(|old| old.last_transition_time.clone());
        after.push(ApplicationCondition {
            kind: (*kind).to_owned(),
            message: message.clone(),
            last_transition_time: Some(since.unwrap_or_else(|| time(now))),
        });
    }
    status.conditions = (!after.is_empty()).then_some(after);
}

/// Events for changes that people watch for.
pub(super) fn announce(plan: &mut AppPlan, app: &Application) {
    let before = super::status_of(app);
    let sync = |status: &ApplicationStatus| {
        status
            .sync
            .as_ref()
            .map(|sync| sync.status.clone())
            .unwrap_or_default()
    };
    let health = |status: &ApplicationStatus| {
        status
            .health
            .as_ref()
            .and_then(|health| health.status.clone())
            .unwrap_or_default()
    };
    for (what, old, new) in [
        ("sync", sync(&before), sync(&plan.status)),
        ("health", health(&before), health(&plan.status)),
    ] {
        if old != new {
            let message = format!("Updated {what} status: {old} -> {new}");
            plan.events
                .push(EventNote::normal("ResourceUpdated", message));
        }
    }
    for condition in plan.status.conditions.iter().flatten() {
        let is_new = !before
            .conditions
            .iter()
            .flatten()
            .any(|old| old.kind == condition.kind && old.message == condition.message);
        if is_new && condition.kind.ends_with("Error") {
            let message = format!("{}: {}", condition.kind, condition.message);
            plan.events
                .push(EventNote::warning("StatusRefreshed", message));
        }
    }
}

/// Addresses and images.
fn summary(setting: &Setting<'_>, comparison: &Comparison) -> ApplicationSummary {
    let (mut images, mut urls, mut is_parent) = (BTreeSet::new(), BTreeSet::new(), false);
    for state in &comparison.resources {
        is_parent |= state.wanted
            && state.key.kind.group == sluice_crds::names::GROUP
            && state.key.kind.kind == "Application";
        if let Some(live) = setting.world.live.objects.get(&state.key) {
            images.extend(images_of(live));
            if state.key.kind.kind == "Ingress" {
                urls.extend(addresses(live));
            }
        }
    }
    let listed = |set: BTreeSet<String>| (!set.is_empty()).then(|| set.into_iter().collect());
    ApplicationSummary {
        external_urls: listed(urls),
        images: listed(images),
        is_app_of_apps: is_parent.then_some(true),
    }
}

/// Images of the pods that an object is or makes.
pub(super) fn images_of(object: &Value) -> Vec<String> {
    let mut images = BTreeSet::new();
    for spec in [
        "/spec",
        "/spec/template/spec",
        "/spec/jobTemplate/spec/template/spec",
    ] {
        for containers in ["containers", "initContainers"] {
            for container in list(object, &format!("{spec}/{containers}")) {
                images.extend(some(text(container, "/image")));
            }
        }
    }
    images.into_iter().collect()
}

fn addresses(ingress: &Value) -> Vec<String> {
    let secure: BTreeSet<&str> = list(ingress, "/spec/tls")
        .iter()
        .flat_map(|tls| list(tls, "/hosts"))
        .filter_map(Value::as_str)
        .collect();
    list(ingress, "/spec/rules")
        .iter()
        .map(|rule| (text(rule, "/host"), rule))
        .filter(|(host, _)| !host.is_empty() && !host.contains('*'))
        .flat_map(|(host, rule)| {
            let scheme = if secure.contains(host) {
                "https"
            } else {
                "http"
            };
            let paths = list(rule, "/http/paths");
            let mut urls: Vec<String> = paths
                .iter()
                .map(|path| {
                    format!(
                        "{scheme}://{host}{}",
                        text(path, "/path").trim_end_matches('*')
                    )
                })
                .collect();
            if urls.is_empty() {
                urls.push(format!("{scheme}://{host}"));
            }
            urls
        })
        .collect()
}
