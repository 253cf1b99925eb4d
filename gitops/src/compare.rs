//! Comparison: for each object, does the cluster say what Git says, and how is it?
//!
//! Input: targets, live objects, and for each target what the API server predicts. Output: one [`ResourceState`] for
//! each target and for each live object that belongs to the Application without being wanted.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use sluice_crds::app_project::AppProject;
use sluice_crds::application::Destination;

use crate::diff::{self, Change};
use crate::health::{self, Health};
use crate::hook::{self, HookKind};
use crate::ignore::Rules;
use crate::key::{Key, is_deleting, text};
use crate::manifest::{Placement, Targets};
use crate::options::{Consent, SyncOptions, has_compare_option};
use crate::project;
use crate::scope::Scope;
use crate::tracking;

/// What the API server says a target would become.
pub type Prediction = Result<Value, PredictionError>;

/// Why there is no prediction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PredictionError {
    /// The server refuses the object; in its words.
    Rejected(String),
    /// The object's namespace does not exist.
    NoNamespace(String),
    /// The object's kind is not served.
    UnknownKind(String),
    /// The server could not be asked.
    Unavailable(String),
}

impl PredictionError {
    /// The sentence.
    #[must_use]
    pub fn message(&self) -> &str {
        match self {
            Self::Rejected(message)
            | Self::NoNamespace(message)
            | Self::UnknownKind(message)
            | Self::Unavailable(message) => message,
        }
    }
}

/// Whether an object, or an Application, is as Git says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum SyncCode {
    /// It is.
    #[default]
    Synced,
    /// It is not.
    OutOfSync,
    /// It cannot be told.
    Unknown,
}

impl SyncCode {
    /// Name in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Synced => "Synced",
            Self::OutOfSync => "OutOfSync",
            Self::Unknown => "Unknown",
        }
    }
}

/// What was observed of the cluster.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LiveState {
    /// Live objects: those that targets name, and those whose tracking annotation names the Application.
    pub objects: BTreeMap<Key, Value>,
    /// Which kinds are served, and which of them have namespaces.
    pub scope: Scope,
}

/// One object of an Application.
#[derive(Debug, Clone, PartialEq)]
pub struct ResourceState {
    /// Which object.
    pub key: Key,
    /// Version of its API, without the group.
    pub version: String,
    /// Its wave.
    pub wave: i64,
    /// Whether it is as Git says.
    pub sync: SyncCode,
    /// Whether it is wanted.
    pub wanted: bool,
    /// Whether it is there.
    pub live: bool,
    /// How it is; `None` when that cannot be told.
    pub health: Option<Health>,
    /// What would change.
    pub changes: Vec<Change>,
    /// It is there and no longer wanted.
    pub requires_pruning: bool,
    /// A person must agree before it is deleted.
    pub requires_confirmation: bool,
    /// Being there unwanted does not make the Application out of sync.
    pub extraneous_is_fine: bool,
}

/// The outcome of a comparison.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Comparison {
    /// One entry for each object, by key.
    pub resources: Vec<ResourceState>,
    /// Whether the Application is as Git says.
    pub sync: SyncCode,
    /// `(condition type, message)` of what people should be told.
    pub conditions: Vec<(&'static str, String)>,
}

impl Comparison {
    /// The entry of an object.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<&ResourceState> {
        self.resources.iter().find(|resource| resource.key == *key)
    }
}

/// What a comparison needs besides objects.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// Where the objects go.
    pub placement: &'a Placement,
    /// The destination.
    pub destination: &'a Destination,
    /// What is permitted.
    pub project: &'a AppProject,
    /// What does not count.
    pub rules: &'a Rules,
    /// The Application's sync options.
    pub options: &'a SyncOptions,
}

/// Compares targets with live objects.
#[must_use]
pub fn compare(
    targets: &Targets,
    live: &LiveState,
    predictions: &BTreeMap<Key, Prediction>,
    context: &Context<'_>,
) -> Comparison {
    let mut comparison = Comparison::default();
    let mut hooks = BTreeSet::new();
    for target in &targets.objects {
        if target.hook.is_some() {
            hooks.insert(&target.key);
            continue;
        }
        let object = live.objects.get(&target.key);
        let mut state = ResourceState {
            key: target.key.clone(),
            version: version(&target.api_version),
            wave: target.wave,
            sync: SyncCode::Synced,
            wanted: true,
            live: object.is_some(),
            health: None,
            changes: Vec::new(),
            requires_pruning: false,
            requires_confirmation: false,
            extraneous_is_fine: false,
        };
        let namespaced = !target.key.namespace.is_empty();
        let forbidden = project::forbids_object(
            context.project,
            context.destination,
            &target.key,
            namespaced,
        );
        match (object, forbidden) {
            (_, Some(_)) => state.sync = SyncCode::Unknown,
            (None, None) => state.sync = SyncCode::OutOfSync,
            (Some(object), None) => {
                state.health = health::of(object);
                match predictions.get(&target.key) {
                    Some(Ok(predicted)) => {
                        state.changes =
                            diff::changes(&target.key, object, predicted, context.rules);
                        if !state.changes.is_empty() {
                            state.sync = SyncCode::OutOfSync;
                        }
                    }
                    // What is refused differs from what is there, which was accepted.
                    Some(Err(
                        PredictionError::Rejected(_)
                        | PredictionError::NoNamespace(_)
                        | PredictionError::UnknownKind(_),
                    )) => state.sync = SyncCode::OutOfSync,
                    Some(Err(PredictionError::Unavailable(message))) => {
                        state.sync = SyncCode::Unknown;
                        comparison.conditions.push((
                            "ComparisonError",
                            format!("{} could not be compared: {message}", target.key),
                        ));
                    }
                    None => state.sync = SyncCode::Unknown,
                }
                if let Some(other) =
                    tracking::owner(object).filter(|owner| *owner != context.placement.app)
                {
                    comparison.conditions.push((
                        "SharedResourceWarning",
                        format!(
                            "{}/{} is part of applications {} and {other}",
                            target.key.kind.kind, target.key.name, context.placement.app
                        ),
                    ));
                }
            }
        }
        comparison.resources.push(state);
    }
    for (key, object) in &live.objects {
        let mine = tracking::owner(object) == Some(context.placement.app.as_str());
        let is_hook = hook::of(object) != HookKind::None;
        if !mine || is_hook || hooks.contains(key) || targets.plain(key).is_some() {
            continue;
        }
        let namespaced = !key.namespace.is_empty();
        if project::forbids_object(context.project, context.destination, key, namespaced).is_some()
        {
            continue;
        }
        let (options, _) = context.options.for_object(object);
        comparison.resources.push(ResourceState {
            key: key.clone(),
            version: version(text(object, "/apiVersion")),
            wave: hook::wave(object),
            sync: SyncCode::OutOfSync,
            wanted: false,
            live: true,
            health: health::of(object),
            changes: Vec::new(),
            requires_pruning: !is_deleting(object),
            requires_confirmation: options.prune == Consent::Asked,
            extraneous_is_fine: has_compare_option(object, "IgnoreExtraneous"),
        });
    }
    comparison.resources.sort_by(|a, b| a.key.cmp(&b.key));
    comparison.sync = comparison
        .resources
        .iter()
        .filter(|resource| resource.wanted || !resource.extraneous_is_fine)
        .map(|resource| resource.sync)
        .max()
        .unwrap_or_default();
    comparison
}

/// The version of an `apiVersion`.
fn version(api_version: &str) -> String {
    api_version
        .rsplit_once('/')
        .map_or(api_version, |(_, version)| version)
        .to_owned()
}
