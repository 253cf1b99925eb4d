//! The connection to the cluster, and the kinds that are asked for.

use anyhow::{Context, Result};
use kube::api::{Api, DynamicObject};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::Value;

use crate::args::ConnectionArgs;

/// Names of the kinds.
pub(crate) mod resource {
    use kube::api::ApiResource;

    /// A kind by its names.
    pub(crate) struct Kind {
        group: &'static str,
        version: &'static str,
        kind: &'static str,
        plural: &'static str,
    }

    impl Kind {
        /// As the client wants it.
        pub(crate) fn api(&self) -> ApiResource {
            let Self { group, version, kind, plural } = *self;
            let api_version =
                if group.is_empty() { version.into() } else { format!("{group}/{version}") };
            ApiResource {
                group: group.into(),
                version: version.into(),
                api_version,
                kind: kind.into(),
                plural: plural.into(),
            }
        }
    }

    const fn argo(kind: &'static str, plural: &'static str) -> Kind {
        Kind { group: "argoproj.io", version: "v1alpha1", kind, plural }
    }

    pub(crate) const ROLLOUTS: Kind = argo("Rollout", "rollouts");
    pub(crate) const ANALYSIS_RUNS: Kind = argo("AnalysisRun", "analysisruns");
    pub(crate) const APPLICATIONS: Kind = argo("Application", "applications");
    pub(crate) const REPLICA_SETS: Kind =
        Kind { group: "apps", version: "v1", kind: "ReplicaSet", plural: "replicasets" };
    pub(crate) const PODS: Kind =
        Kind { group: "", version: "v1", kind: "Pod", plural: "pods" };
    pub(crate) const EVENTS: Kind =
        Kind { group: "", version: "v1", kind: "Event", plural: "events" };
}

/// A client, and the namespace that commands without `--namespace` mean.
pub(crate) async fn connect(args: &ConnectionArgs) -> Result<(Client, String)> {
    let options = KubeConfigOptions {
        context: args.context.clone(),
        cluster: args.cluster.clone(),
        user: args.user.clone(),
    };
    let mut config = match &args.kubeconfig {
        Some(path) => {
            let file = Kubeconfig::read_from(path)
                .with_context(|| format!("cannot read the kubeconfig {}", path.display()))?;
            Config::from_custom_kubeconfig(file, &options).await?
        }
        None if options.context.is_some() || options.cluster.is_some() || options.user.is_some() => {
            Config::from_kubeconfig(&options).await?
        }
        None => Config::infer().await.context(
            "no cluster: set KUBECONFIG or --kubeconfig, or run inside of a cluster",
        )?,
    };
    if let Some(timeout) = args.request_timeout {
        config.read_timeout = Some(std::time::Duration::from_secs(timeout));
    }
    let namespace = args.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
    Ok((Client::try_from(config)?, namespace))
}

/// Reads an object that a Rollout names; `None` when it, or its kind, does not exist.
pub(crate) async fn find(
    client: &Client,
    object: &sluice_traffic::ObjectRef,
) -> Result<Option<Value>> {
    let version = object.api_version.rsplit('/').next().unwrap_or_default();
    let resource = kube::api::ApiResource {
        group: object.group().to_owned(),
        version: version.to_owned(),
        api_version: object.api_version.clone(),
        kind: object.kind.clone(),
        plural: object.plural.clone(),
    };
    let api: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), &object.namespace, &resource);
    match api.get_opt(&object.name).await? {
        Some(found) => Ok(Some(serde_json::to_value(found)?)),
        None => Ok(None),
    }
}
