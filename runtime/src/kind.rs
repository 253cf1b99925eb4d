//! Kinds of API objects, and where the API serves them.
//!
//! A [`Kind`] is a plain value: known kinds are constants here, others are made from what a manifest or the discovery
//! says. Nothing here asks the API.

use std::borrow::Cow;
use std::fmt;

/// One kind of objects in one version, with all that is needed to address it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind {
    /// API group, empty for the core group.
    pub group: Cow<'static, str>,
    /// Version, as in `v1`.
    pub version: Cow<'static, str>,
    /// As in the field `kind` of manifests.
    pub kind: Cow<'static, str>,
    /// Lower-case plural, as in URLs.
    pub plural: Cow<'static, str>,
    /// Whether objects live in a namespace.
    pub namespaced: bool,
}

impl Kind {
    /// Whether the status is written through the subresource. Of the kinds of `argoproj.io` only Rollouts have it, as
    /// upstream; tools write the status of the others through the object itself.
    #[must_use]
    pub fn has_status_subresource(&self) -> bool {
        self.group != "argoproj.io" || self.kind == "Rollout"
    }

    /// A kind whose objects live in namespaces.
    #[must_use]
    pub const fn namespaced(
        group: &'static str,
        version: &'static str,
        kind: &'static str,
        plural: &'static str,
    ) -> Self {
        Self {
            group: Cow::Borrowed(group),
            version: Cow::Borrowed(version),
            kind: Cow::Borrowed(kind),
            plural: Cow::Borrowed(plural),
            namespaced: true,
        }
    }

    /// A kind whose objects belong to the cluster.
    #[must_use]
    pub const fn cluster(
        group: &'static str,
        version: &'static str,
        kind: &'static str,
        plural: &'static str,
    ) -> Self {
        Self {
            group: Cow::Borrowed(group),
            version: Cow::Borrowed(version),
            kind: Cow::Borrowed(kind),
            plural: Cow::Borrowed(plural),
            namespaced: false,
        }
    }

    /// `group/version`, or the version alone in the core group.
    #[must_use]
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_string()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// URL path of the collection: of one namespace, or of all (`None` or an empty name).
    #[must_use]
    pub fn collection_path(&self, namespace: Option<&str>) -> String {
        let root = if self.group.is_empty() {
            format!("/api/{}", self.version)
        } else {
            format!("/apis/{}/{}", self.group, self.version)
        };
        match namespace.filter(|name| self.namespaced && !name.is_empty()) {
            Some(namespace) => format!("{root}/namespaces/{namespace}/{}", self.plural),
            None => format!("{root}/{}", self.plural),
        }
    }
}

impl fmt::Display for Kind {
    /// `kind.group`, or the kind alone in the core group: what people read in messages.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.group.is_empty() {
            f.write_str(&self.kind)
        } else {
            write!(f, "{}.{}", self.kind, self.group)
        }
    }
}

/// `argoproj.io/v1alpha1` Rollout.
pub static ROLLOUT: Kind = Kind::namespaced("argoproj.io", "v1alpha1", "Rollout", "rollouts");
/// `argoproj.io/v1alpha1` AnalysisRun.
pub static ANALYSIS_RUN: Kind =
    Kind::namespaced("argoproj.io", "v1alpha1", "AnalysisRun", "analysisruns");
/// `argoproj.io/v1alpha1` Experiment.
pub static EXPERIMENT: Kind =
    Kind::namespaced("argoproj.io", "v1alpha1", "Experiment", "experiments");
/// `argoproj.io/v1alpha1` AnalysisTemplate.
pub static ANALYSIS_TEMPLATE: Kind = Kind::namespaced(
    "argoproj.io",
    "v1alpha1",
    "AnalysisTemplate",
    "analysistemplates",
);
/// `argoproj.io/v1alpha1` ClusterAnalysisTemplate.
pub static CLUSTER_ANALYSIS_TEMPLATE: Kind = Kind::cluster(
    "argoproj.io",
    "v1alpha1",
    "ClusterAnalysisTemplate",
    "clusteranalysistemplates",
);
/// `argoproj.io/v1alpha1` Application.
pub static APPLICATION: Kind =
    Kind::namespaced("argoproj.io", "v1alpha1", "Application", "applications");
/// `argoproj.io/v1alpha1` AppProject.
pub static APP_PROJECT: Kind =
    Kind::namespaced("argoproj.io", "v1alpha1", "AppProject", "appprojects");
/// `apps/v1` ReplicaSet.
pub static REPLICA_SET: Kind = Kind::namespaced("apps", "v1", "ReplicaSet", "replicasets");
/// `apps/v1` Deployment.
pub static DEPLOYMENT: Kind = Kind::namespaced("apps", "v1", "Deployment", "deployments");
/// `v1` Pod.
pub static POD: Kind = Kind::namespaced("", "v1", "Pod", "pods");
/// `v1` PodTemplate.
pub static POD_TEMPLATE: Kind = Kind::namespaced("", "v1", "PodTemplate", "podtemplates");
/// `v1` Service.
pub static SERVICE: Kind = Kind::namespaced("", "v1", "Service", "services");
/// `batch/v1` Job.
pub static JOB: Kind = Kind::namespaced("batch", "v1", "Job", "jobs");
/// `v1` Secret.
pub static SECRET: Kind = Kind::namespaced("", "v1", "Secret", "secrets");
/// `v1` ConfigMap.
pub static CONFIG_MAP: Kind = Kind::namespaced("", "v1", "ConfigMap", "configmaps");
/// `v1` Namespace.
pub static NAMESPACE: Kind = Kind::cluster("", "v1", "Namespace", "namespaces");
/// `v1` Event.
pub static EVENT: Kind = Kind::namespaced("", "v1", "Event", "events");
/// `coordination.k8s.io/v1` Lease.
pub static LEASE: Kind = Kind::namespaced("coordination.k8s.io", "v1", "Lease", "leases");
/// `networking.k8s.io/v1` Ingress.
pub static INGRESS: Kind = Kind::namespaced("networking.k8s.io", "v1", "Ingress", "ingresses");
/// `gateway.networking.k8s.io/v1` HTTPRoute.
pub static HTTP_ROUTE: Kind =
    Kind::namespaced("gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes");
/// `traefik.io/v1alpha1` TraefikService.
pub static TRAEFIK_SERVICE: Kind = Kind::namespaced(
    "traefik.io",
    "v1alpha1",
    "TraefikService",
    "traefikservices",
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_api() {
        for (kind, namespace, path) in [
            (
                &SERVICE,
                Some("default"),
                "/api/v1/namespaces/default/services",
            ),
            (&SERVICE, None, "/api/v1/services"),
            (
                &ROLLOUT,
                Some("a"),
                "/apis/argoproj.io/v1alpha1/namespaces/a/rollouts",
            ),
            (
                &CLUSTER_ANALYSIS_TEMPLATE,
                Some("a"),
                "/apis/argoproj.io/v1alpha1/clusteranalysistemplates",
            ),
            (&NAMESPACE, Some(""), "/api/v1/namespaces"),
        ] {
            assert_eq!(kind.collection_path(namespace), path);
        }
    }
}
