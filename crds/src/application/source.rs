//! `spec.source`: where manifests come from and how they are rendered.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_with::skip_serializing_none;

use crate::IntOrString;

/// One source of manifests. At most one of `helm`, `kustomize`, `directory` and `plugin` is set; with none of them the
/// type is found from the files.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationSource {
    /// Git repository, Helm repository or `oci://` address.
    #[serde(default, rename = "repoURL")]
    pub repo_url: String,
    /// Directory in the repository.
    pub path: Option<String>,
    /// Commit, tag, branch or semantic version range. Absent and empty mean the repository's HEAD.
    pub target_revision: Option<String>,
    /// Helm settings.
    pub helm: Option<HelmSource>,
    /// Kustomize settings.
    pub kustomize: Option<KustomizeSource>,
    /// Settings for plain directories.
    pub directory: Option<DirectorySource>,
    /// Settings of a config management plugin.
    pub plugin: Option<PluginSource>,
    /// Name of a chart in a Helm repository, instead of `path`.
    pub chart: Option<String>,
    /// Name by which other sources reach this one's files, as `$ref/path`.
    #[serde(rename = "ref")]
    pub reference: Option<String>,
    /// Name of the source, for people.
    pub name: Option<String>,
    /// Prefix of the tags that `targetRevision` may resolve to.
    pub tag_prefix: Option<String>,
}

impl ApplicationSource {
    /// `targetRevision`, or `HEAD`.
    #[must_use]
    pub fn target_revision(&self) -> &str {
        match self.target_revision.as_deref() {
            None | Some("") => "HEAD",
            Some(revision) => revision,
        }
    }

    /// `path`, or the repository's root.
    #[must_use]
    pub fn path(&self) -> &str {
        match self.path.as_deref() {
            None | Some("") => ".",
            Some(path) => path,
        }
    }

    /// The renderers that are set explicitly, by their key in the API. A valid source has at most one.
    #[must_use]
    pub fn explicit_types(&self) -> Vec<&'static str> {
        [
            self.helm.as_ref().map(|_| "helm"),
            self.kustomize.as_ref().map(|_| "kustomize"),
            self.directory.as_ref().map(|_| "directory"),
            self.plugin.as_ref().map(|_| "plugin"),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// Whether the source only lends its files to others: it has a `ref` and names nothing to render.
    #[must_use]
    pub fn is_reference_only(&self) -> bool {
        let set = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.is_empty());
        set(&self.reference) && !set(&self.path) && !set(&self.chart)
    }
}

/// `source.helm`.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HelmSource {
    /// Value files, in order: paths in the repository, `$ref/path`, or URLs.
    pub value_files: Option<Vec<String>>,
    /// `--set` and `--set-string`.
    pub parameters: Option<Vec<HelmParameter>>,
    /// `--set-file`.
    pub file_parameters: Option<Vec<HelmFileParameter>>,
    /// Values as YAML text.
    pub values: Option<String>,
    /// Values as an object; wins over `values`.
    #[schemars(schema_with = "crate::schema::object")]
    pub values_object: Option<Value>,
    /// Name of the release. Default: the Application's name.
    pub release_name: Option<String>,
    /// Deprecated; only `v3` means something.
    pub version: Option<String>,
    /// Send the credentials to all hosts.
    pub pass_credentials: Option<bool>,
    /// Leave out value files that do not exist.
    pub ignore_missing_value_files: Option<bool>,
    /// Leave out the chart's CRDs.
    pub skip_crds: Option<bool>,
    /// Leave out the chart's tests.
    pub skip_tests: Option<bool>,
    /// Do not check the values against the chart's schema.
    pub skip_schema_validation: Option<bool>,
    /// Namespace to render with. Default: the destination's.
    pub namespace: Option<String>,
    /// Version of Kubernetes to render for.
    pub kube_version: Option<String>,
    /// API versions to render for.
    pub api_versions: Option<Vec<String>>,
}

/// One of `helm.parameters`.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HelmParameter {
    /// Path in the values, as in `image.tag`.
    #[serde(default)]
    pub name: String,
    /// Value as text.
    #[serde(default)]
    pub value: String,
    /// Keep the value a string even if it looks like a number or a boolean.
    pub force_string: Option<bool>,
}

/// One of `helm.fileParameters`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HelmFileParameter {
    /// Path in the values.
    #[serde(default)]
    pub name: String,
    /// File whose content is the value.
    #[serde(default)]
    pub path: String,
}

/// `source.kustomize`.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KustomizeSource {
    /// Put before every name.
    pub name_prefix: Option<String>,
    /// Put after every name.
    pub name_suffix: Option<String>,
    /// Image overrides, as in `old=new:tag`.
    pub images: Option<Vec<String>>,
    /// Replica overrides.
    pub replicas: Option<Vec<KustomizeReplicas>>,
    /// Labels for all objects.
    pub common_labels: Option<BTreeMap<String, String>>,
    /// Do not put the labels into selectors.
    pub label_without_selector: Option<bool>,
    /// Put the labels into templates as well.
    pub label_include_templates: Option<bool>,
    /// Overwrite labels that are there.
    pub force_common_labels: Option<bool>,
    /// Annotations for all objects.
    pub common_annotations: Option<BTreeMap<String, String>>,
    /// Replace `$VARIABLE` in the annotations' values.
    pub common_annotations_envsubst: Option<bool>,
    /// Overwrite annotations that are there.
    pub force_common_annotations: Option<bool>,
    /// Namespace of all objects.
    pub namespace: Option<String>,
    /// Patches.
    pub patches: Option<Vec<KustomizePatch>>,
    /// Components to add.
    pub components: Option<Vec<String>>,
    /// Leave out components that do not exist.
    pub ignore_missing_components: Option<bool>,
    /// Version of kustomize.
    pub version: Option<String>,
    /// Version of Kubernetes to render charts for.
    pub kube_version: Option<String>,
    /// API versions to render charts for.
    pub api_versions: Option<Vec<String>>,
}

/// One of `kustomize.replicas`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KustomizeReplicas {
    /// Name of the workload.
    pub name: String,
    /// Number of pods, as a number or as text.
    pub count: IntOrString,
}

/// One of `kustomize.patches`.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KustomizePatch {
    /// File that holds the patch.
    pub path: Option<String>,
    /// The patch itself: strategic merge or JSON 6902, as YAML text.
    pub patch: Option<String>,
    /// What is patched.
    pub target: Option<KustomizeSelector>,
    /// Options of kustomize, as in `allowNameChange`.
    pub options: Option<BTreeMap<String, bool>>,
}

/// What a patch is for.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KustomizeSelector {
    /// API group.
    pub group: Option<String>,
    /// API version.
    pub version: Option<String>,
    /// Kind.
    pub kind: Option<String>,
    /// Name, a regular expression.
    pub name: Option<String>,
    /// Namespace, a regular expression.
    pub namespace: Option<String>,
    /// Annotation selector.
    pub annotation_selector: Option<String>,
    /// Label selector.
    pub label_selector: Option<String>,
}

/// `source.directory`.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DirectorySource {
    /// Look into subdirectories as well.
    pub recurse: Option<bool>,
    /// Glob of the files to take.
    pub include: Option<String>,
    /// Glob of the files to leave out.
    pub exclude: Option<String>,
    /// Settings for Jsonnet files.
    pub jsonnet: Option<JsonnetSource>,
    /// Take files whatever their name ends in.
    pub disable_extension_filter: Option<bool>,
}

/// `directory.jsonnet`.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JsonnetSource {
    /// External variables.
    pub ext_vars: Option<Vec<JsonnetVariable>>,
    /// Top-level arguments.
    pub tlas: Option<Vec<JsonnetVariable>>,
    /// Library directories.
    pub libs: Option<Vec<String>>,
}

/// A variable of Jsonnet.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JsonnetVariable {
    /// Name.
    #[serde(default)]
    pub name: String,
    /// Value.
    #[serde(default)]
    pub value: String,
    /// Whether the value is Jsonnet and not a string.
    pub code: Option<bool>,
}

/// `source.plugin`.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PluginSource {
    /// Name of the plugin.
    pub name: Option<String>,
    /// Environment.
    pub env: Option<Vec<super::Info>>,
    /// Parameters, each with `name` and one of `string`, `map` and `array`.
    #[schemars(schema_with = "crate::schema::objects")]
    pub parameters: Option<Vec<Value>>,
}

/// `spec.sourceHydrator`.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SourceHydrator {
    /// What is rendered.
    pub dry_source: Option<ApplicationSource>,
    /// What is applied.
    pub sync_source: Option<SyncSource>,
    /// Where the rendering is pushed.
    pub hydrate_to: Option<HydrateTo>,
}

/// `sourceHydrator.syncSource`.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncSource {
    /// Branch to apply from.
    pub target_branch: Option<String>,
    /// Directory in it.
    pub path: Option<String>,
    /// Repository, when it is not the dry source's.
    #[serde(rename = "repoURL")]
    pub repo_url: Option<String>,
}

/// `sourceHydrator.hydrateTo`.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HydrateTo {
    /// Branch to push to.
    pub target_branch: Option<String>,
}
