//! `spec.strategy.canary.steps[]`: exactly one key each.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use serde_with::skip_serializing_none;

use super::canary::{AnalysisRunArgument, RolloutAnalysis};
use crate::analysis::{AnalysisRunMetadata, DryRun};
use crate::{IntOrString, LabelSelector};

/// One step. The API has one optional key for each kind of step; [`CanaryStep::kind`] gives the one that is set.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CanaryStep {
    /// Share of the canary, 0 to `maxTrafficWeight`.
    pub set_weight: Option<i32>,
    /// A wait, timed or until a person promotes.
    pub pause: Option<Pause>,
    /// Size of the canary apart from its traffic.
    pub set_canary_scale: Option<SetCanaryScale>,
    /// A route by header.
    pub set_header_route: Option<SetHeaderRoute>,
    /// Mirrored traffic.
    pub set_mirror_route: Option<SetMirrorRoute>,
    /// An Experiment to wait for.
    pub experiment: Option<ExperimentStep>,
    /// An AnalysisRun to wait for.
    pub analysis: Option<RolloutAnalysis>,
    /// A step of another maker.
    pub plugin: Option<PluginStep>,
}

/// The kind of a step, borrowed from it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum StepKind<'a> {
    /// `setWeight`.
    SetWeight(i32),
    /// `pause`.
    Pause(&'a Pause),
    /// `setCanaryScale`.
    SetCanaryScale(&'a SetCanaryScale),
    /// `setHeaderRoute`.
    SetHeaderRoute(&'a SetHeaderRoute),
    /// `setMirrorRoute`.
    SetMirrorRoute(&'a SetMirrorRoute),
    /// `experiment`.
    Experiment(&'a ExperimentStep),
    /// `analysis`.
    Analysis(&'a RolloutAnalysis),
    /// `plugin`.
    Plugin(&'a PluginStep),
}

impl StepKind<'_> {
    /// The key of the step in the API.
    #[must_use]
    pub fn key(&self) -> &'static str {
        match self {
            StepKind::SetWeight(_) => "setWeight",
            StepKind::Pause(_) => "pause",
            StepKind::SetCanaryScale(_) => "setCanaryScale",
            StepKind::SetHeaderRoute(_) => "setHeaderRoute",
            StepKind::SetMirrorRoute(_) => "setMirrorRoute",
            StepKind::Experiment(_) => "experiment",
            StepKind::Analysis(_) => "analysis",
            StepKind::Plugin(_) => "plugin",
        }
    }
}

impl CanaryStep {
    /// The keys that are set, in the order of the API. A valid step has exactly one.
    #[must_use]
    pub fn kinds(&self) -> Vec<StepKind<'_>> {
        [
            self.set_weight.map(StepKind::SetWeight),
            self.pause.as_ref().map(StepKind::Pause),
            self.set_canary_scale.as_ref().map(StepKind::SetCanaryScale),
            self.set_header_route.as_ref().map(StepKind::SetHeaderRoute),
            self.set_mirror_route.as_ref().map(StepKind::SetMirrorRoute),
            self.experiment.as_ref().map(StepKind::Experiment),
            self.analysis.as_ref().map(StepKind::Analysis),
            self.plugin.as_ref().map(StepKind::Plugin),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// The kind of the step; `None` unless exactly one key is set.
    #[must_use]
    pub fn kind(&self) -> Option<StepKind<'_>> {
        let kinds = self.kinds();
        match kinds.as_slice() {
            [kind] => Some(*kind),
            _ => None,
        }
    }
}

/// `pause`.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pause {
    /// Seconds, or a Go duration; absent means until a person promotes.
    pub duration: Option<IntOrString>,
}

/// `setCanaryScale`; exactly one field is set.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SetCanaryScale {
    /// Percentage of `spec.replicas`.
    pub weight: Option<i32>,
    /// Number of pods.
    pub replicas: Option<i32>,
    /// Follow the traffic weight again.
    pub match_traffic_weight: Option<bool>,
}

/// `setHeaderRoute`.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SetHeaderRoute {
    /// Name; must be one of `managedRoutes`.
    pub name: Option<String>,
    /// Matches, all of which must hold; empty removes the route.
    #[serde(rename = "match")]
    pub matches: Option<Vec<HeaderRoutingMatch>>,
}

/// One header of a `setHeaderRoute`.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeaderRoutingMatch {
    /// Header name.
    pub header_name: Option<String>,
    /// What its value must be.
    pub header_value: Option<StringMatch>,
}

/// A match of a string; one field is set.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StringMatch {
    /// Equal.
    pub exact: Option<String>,
    /// Starts with.
    pub prefix: Option<String>,
    /// Matches a regular expression.
    pub regex: Option<String>,
}

/// `setMirrorRoute`.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SetMirrorRoute {
    /// Name; must be one of `managedRoutes`.
    pub name: Option<String>,
    /// Requests to mirror; empty removes the route.
    #[serde(rename = "match")]
    pub matches: Option<Vec<RouteMatch>>,
    /// Percentage of those requests.
    pub percentage: Option<i32>,
}

/// One match of a `setMirrorRoute`.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RouteMatch {
    /// HTTP method.
    pub method: Option<StringMatch>,
    /// URL path.
    pub path: Option<StringMatch>,
    /// Headers by name.
    pub headers: Option<std::collections::BTreeMap<String, StringMatch>>,
}

/// `plugin`.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PluginStep {
    /// `namespace/name` of the plugin.
    #[serde(default)]
    pub name: String,
    /// What the plugin takes.
    #[schemars(schema_with = "crate::schema::any")]
    pub config: Option<Value>,
}

/// `experiment`.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExperimentStep {
    /// ReplicaSets to run beside each other.
    pub templates: Option<Vec<ExperimentStepTemplate>>,
    /// Go duration; absent means until the analyses end.
    pub duration: Option<String>,
    /// Analyses of the experiment.
    pub analyses: Option<Vec<ExperimentStepAnalysis>>,
    /// Metrics that never decide.
    pub dry_run: Option<Vec<DryRun>>,
    /// Labels and annotations of the runs.
    pub analysis_run_metadata: Option<AnalysisRunMetadata>,
    /// Seconds that its ReplicaSets stay afterwards. Default 30.
    pub scale_down_delay_seconds: Option<i32>,
}

/// One ReplicaSet of an `experiment` step.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExperimentStepTemplate {
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// `stable` or `canary`: whose pod spec it runs.
    #[serde(default)]
    pub spec_ref: String,
    /// Number of pods. Default 1.
    pub replicas: Option<i32>,
    /// Labels and annotations of its pods.
    pub metadata: Option<super::PodTemplateMetadata>,
    /// Selector of its pods.
    pub selector: Option<LabelSelector>,
    /// Share of traffic that it gets.
    pub weight: Option<i32>,
    /// The Service that is made for it.
    #[schemars(schema_with = "crate::schema::object")]
    pub service: Option<Map<String, Value>>,
}

/// One analysis of an `experiment` step.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExperimentStepAnalysis {
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// Template that it runs.
    #[serde(default)]
    pub template_name: String,
    /// True for a ClusterAnalysisTemplate.
    pub cluster_scope: Option<bool>,
    /// Arguments.
    pub args: Option<Vec<AnalysisRunArgument>>,
    /// The experiment ends when all such analyses have.
    pub required_for_completion: Option<bool>,
}
