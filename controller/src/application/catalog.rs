//! Which kinds the API serves, under which names, and whether they have namespaces.
//!
//! Read in two requests (aggregated discovery), again when a kind is not known and every ten minutes.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::Context as _;
use axum::http::{Request, header};
use serde_json::Value;
use sluice_gitops::key::{GroupKind, list, text};
use sluice_gitops::scope::Scope;
use sluice_runtime::api::REQUEST_TIMEOUT;
use sluice_runtime::{Api, Kind};
use tokio::time::{Instant, timeout};

/// A list that is older is read again.
const OLD: Duration = Duration::from_secs(600);
/// Not read again sooner, however many kinds are not known.
const YOUNG: Duration = Duration::from_secs(2);
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
                          application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";

/// What the API serves.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    /// By `apiVersion` and kind.
    kinds: BTreeMap<(String, String), Kind>,
    /// The version that the server prefers.
    preferred: BTreeMap<GroupKind, Kind>,
    /// Which kinds have namespaces.
    pub(crate) scope: Scope,
    /// `apps/v1` and `apps/v1/Deployment`, for charts that ask.
    pub(crate) api_versions: Vec<String>,
    /// As in `1.36.3`.
    pub(crate) kube_version: String,
}

impl Known {
    /// A kind as a manifest names it.
    pub(crate) fn kind(&self, api_version: &str, kind: &str) -> Option<&Kind> {
        self.kinds.get(&(api_version.to_owned(), kind.to_owned()))
    }

    /// A kind in the version that the server prefers.
    pub(crate) fn preferred(&self, kind: &GroupKind) -> Option<&Kind> {
        self.preferred.get(kind)
    }

    fn read(lists: &[Value], kube_version: String) -> Self {
        let mut known = Self {
            kube_version,
            ..Self::default()
        };
        let mut scopes = Vec::new();
        for group in lists.iter().flat_map(|list_| list(list_, "/items")) {
            let name = text(group, "/metadata/name");
            for version in list(group, "/versions") {
                let number = text(version, "/version");
                let api_version = if name.is_empty() {
                    number.to_owned()
                } else {
                    format!("{name}/{number}")
                };
                known.api_versions.push(api_version.clone());
                for resource in list(version, "/resources") {
                    let kind = text(resource, "/responseKind/kind");
                    let readable = list(resource, "/verbs").iter().any(|verb| verb == "get");
                    if kind.is_empty() || !readable {
                        continue;
                    }
                    let namespaced = text(resource, "/scope") == "Namespaced";
                    let entry = Kind {
                        group: name.to_owned().into(),
                        version: number.to_owned().into(),
                        kind: kind.to_owned().into(),
                        plural: text(resource, "/resource").to_owned().into(),
                        namespaced,
                    };
                    known.api_versions.push(format!("{api_version}/{kind}"));
                    let group_kind = GroupKind::new(name, kind);
                    scopes.push((group_kind.clone(), namespaced));
                    // The server lists the preferred version first.
                    known
                        .preferred
                        .entry(group_kind)
                        .or_insert_with(|| entry.clone());
                    known
                        .kinds
                        .insert((api_version.clone(), kind.to_owned()), entry);
                }
            }
        }
        known.scope = Scope::new(scopes);
        known
    }
}

/// Keeps [`Known`] up to date.
pub(crate) struct Catalog {
    api: Api,
    known: RwLock<Arc<Known>>,
    read_at: tokio::sync::Mutex<Option<Instant>>,
}

impl Catalog {
    pub(crate) fn new(api: Api) -> Self {
        Self {
            api,
            known: RwLock::default(),
            read_at: tokio::sync::Mutex::new(None),
        }
    }

    /// What is known now.
    pub(crate) fn known(&self) -> Arc<Known> {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What is known, read again if it is old, or if a kind that is wanted is missing.
    ///
    /// # Errors
    /// When nothing was ever read and the API does not answer; later failures leave what is known.
    pub(crate) async fn with(
        &self,
        missing: impl Fn(&Known) -> bool,
    ) -> anyhow::Result<Arc<Known>> {
        let mut read_at = self.read_at.lock().await;
        let age = read_at.map(|at| at.elapsed());
        let known = self.known();
        let fresh_enough = match age {
            None => false,
            Some(age) => age < YOUNG || (age < OLD && !missing(&known)),
        };
        if fresh_enough {
            return Ok(known);
        }
        match self.discover().await {
            Ok(known) => {
                let known = Arc::new(known);
                *self.known.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&known);
                *read_at = Some(Instant::now());
                Ok(known)
            }
            Err(error) if read_at.is_some() => {
                tracing::warn!(%error, "cannot read which kinds the API serves; going on with what is known");
                *read_at = Some(Instant::now());
                Ok(known)
            }
            Err(error) => Err(error),
        }
    }

    async fn discover(&self) -> anyhow::Result<Known> {
        let core = self.ask("/api").await?;
        let groups = self.ask("/apis").await?;
        let version = self.ask("/version").await?;
        let version = text(&version, "/gitVersion")
            .trim_start_matches('v')
            .to_owned();
        // As in `1.36.3-eks-1`: charts compare the first part.
        let version = version
            .split(['-', '+'])
            .next()
            .unwrap_or_default()
            .to_owned();
        let known = Known::read(&[core, groups], version);
        anyhow::ensure!(
            !known.kinds.is_empty(),
            "the API server does not offer aggregated discovery; Kubernetes 1.27 or later is needed"
        );
        Ok(known)
    }

    async fn ask(&self, path: &str) -> anyhow::Result<Value> {
        let request = Request::get(path)
            .header(header::ACCEPT, AGGREGATED)
            .body(Vec::new())?;
        timeout(REQUEST_TIMEOUT, self.api.client().request::<Value>(request))
            .await
            .with_context(|| format!("get {path}: no answer within the time limit"))?
            .with_context(|| format!("get {path}"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_first_version_of_a_group_is_the_preferred_one() {
        let groups = json!({"items": [{"metadata": {"name": "apps"}, "versions": [
            {"version": "v2", "resources": [{"resource": "deployments", "responseKind": {"kind": "Deployment"}, "scope": "Namespaced", "verbs": ["get"]}]},
            {"version": "v1", "resources": [{"resource": "deployments", "responseKind": {"kind": "Deployment"}, "scope": "Namespaced", "verbs": ["get"]}]},
        ]}]});
        let core = json!({"items": [{"metadata": {"name": ""}, "versions": [{"version": "v1", "resources": [
            {"resource": "nodes", "responseKind": {"kind": "Node"}, "scope": "Cluster", "verbs": ["get"]},
            {"resource": "bindings", "responseKind": {"kind": "Binding"}, "scope": "Namespaced", "verbs": ["create"]},
        ]}]}]});
        let known = Known::read(&[core, groups], "1.36.3".to_owned());
        let deployment = GroupKind::new("apps", "Deployment");
        assert_eq!(known.preferred(&deployment).unwrap().version, "v2");
        assert_eq!(known.kind("apps/v1", "Deployment").unwrap().version, "v1");
        assert_eq!(known.scope.namespaced(&deployment), Some(true));
        assert_eq!(
            known.scope.namespaced(&GroupKind::new("", "Node")),
            Some(false)
        );
        assert!(
            known.kind("v1", "Binding").is_none(),
            "it cannot be read back"
        );
        assert!(
            known
                .api_versions
                .contains(&"apps/v1/Deployment".to_owned())
        );
    }
}
