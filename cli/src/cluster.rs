//! The connection to the cluster, and the kinds that are asked for.

use std::error::Error as _;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use kube::api::{Api, ApiResource, DynamicObject, ListParams};
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};

use crate::args::ConnectionArgs;
use crate::failure;

/// A kind by its names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind {
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
}

impl Kind {
    const fn argo(kind: &'static str, plural: &'static str) -> Self {
        Self::new("argoproj.io", "v1alpha1", kind, plural)
    }

    const fn new(
        group: &'static str,
        version: &'static str,
        kind: &'static str,
        plural: &'static str,
    ) -> Self {
        Self {
            group,
            version,
            kind,
            plural,
        }
    }

    /// As the client wants it.
    pub(crate) fn api(&self) -> ApiResource {
        let Self {
            group,
            version,
            kind,
            plural,
        } = *self;
        let api_version = if group.is_empty() {
            version.into()
        } else {
            format!("{group}/{version}")
        };
        ApiResource {
            group: group.into(),
            version: version.into(),
            api_version,
            kind: kind.into(),
            plural: plural.into(),
        }
    }

    /// As messages of the API server name it, as in `rollouts.argoproj.io`.
    pub(crate) fn name(&self) -> String {
        if self.group.is_empty() {
            self.plural.to_owned()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
    }
}

pub(crate) const ROLLOUTS: Kind = Kind::argo("Rollout", "rollouts");
pub(crate) const ANALYSIS_RUNS: Kind = Kind::argo("AnalysisRun", "analysisruns");
pub(crate) const EXPERIMENTS: Kind = Kind::argo("Experiment", "experiments");
pub(crate) const ANALYSIS_TEMPLATES: Kind = Kind::argo("AnalysisTemplate", "analysistemplates");
pub(crate) const CLUSTER_ANALYSIS_TEMPLATES: Kind =
    Kind::argo("ClusterAnalysisTemplate", "clusteranalysistemplates");
pub(crate) const APPLICATIONS: Kind = Kind::argo("Application", "applications");
pub(crate) const APP_PROJECTS: Kind = Kind::argo("AppProject", "appprojects");
pub(crate) const REPLICA_SETS: Kind = Kind::new("apps", "v1", "ReplicaSet", "replicasets");
pub(crate) const DEPLOYMENTS: Kind = Kind::new("apps", "v1", "Deployment", "deployments");
pub(crate) const POD_TEMPLATES: Kind = Kind::new("", "v1", "PodTemplate", "podtemplates");
pub(crate) const PODS: Kind = Kind::new("", "v1", "Pod", "pods");
pub(crate) const SERVICES: Kind = Kind::new("", "v1", "Service", "services");
pub(crate) const SECRETS: Kind = Kind::new("", "v1", "Secret", "secrets");
pub(crate) const CONFIG_MAPS: Kind = Kind::new("", "v1", "ConfigMap", "configmaps");
pub(crate) const EVENTS: Kind = Kind::new("", "v1", "Event", "events");

/// A client, and the namespace that names without one mean.
#[derive(Clone)]
pub(crate) struct Cluster {
    /// The client.
    pub client: Client,
    /// `--namespace`, or that of the context.
    pub namespace: String,
}

impl Cluster {
    /// The objects of a kind in the namespace.
    pub(crate) fn api(&self, kind: &Kind) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.namespace, &kind.api())
    }

    /// The objects of a kind in all namespaces.
    pub(crate) fn api_everywhere(&self, kind: &Kind) -> Api<DynamicObject> {
        Api::all_with(self.client.clone(), &kind.api())
    }

    /// Reads one object as it is.
    ///
    /// # Errors
    /// When it does not exist (the message names it and the namespace), or cannot be read.
    pub(crate) async fn get(&self, kind: &Kind, name: &str) -> Result<Value> {
        let place = format!(" in namespace {}", self.namespace);
        found(kind, name, &place, self.api(kind).get(name).await)
    }

    /// Reads one object of a kind that is in no namespace.
    ///
    /// # Errors
    /// As [`Cluster::get`].
    pub(crate) async fn get_everywhere(&self, kind: &Kind, name: &str) -> Result<Value> {
        found(kind, name, "", self.api_everywhere(kind).get(name).await)
    }

    /// Lists objects of a kind in the namespace, each with `apiVersion` and `kind`.
    ///
    /// # Errors
    /// When the API server refuses.
    pub(crate) async fn list(
        &self,
        kind: &Kind,
        parameters: &ListParams,
    ) -> Result<Vec<Value>, kube::Error> {
        typed(kind, self.api(kind).list(parameters).await?.items)
    }

    /// As [`Cluster::list`], in all namespaces.
    ///
    /// # Errors
    /// When the API server refuses.
    pub(crate) async fn list_everywhere(
        &self,
        kind: &Kind,
        parameters: &ListParams,
    ) -> Result<Vec<Value>, kube::Error> {
        typed(
            kind,
            self.api_everywhere(kind).list(parameters).await?.items,
        )
    }
}

fn found(
    kind: &Kind,
    name: &str,
    place: &str,
    answer: Result<DynamicObject, kube::Error>,
) -> Result<Value> {
    match answer {
        Ok(found) => Ok(serde_json::to_value(found)?),
        Err(kube::Error::Api(status))
            if status.is_not_found() && !failure::is_unserved(&status) =>
        {
            bail!("{} {name:?} not found{place}", kind.name())
        }
        Err(error) => Err(anyhow!(error).context(format!("reading {} {name:?}", kind.name()))),
    }
}

/// Objects of a list come without their types.
fn typed(kind: &Kind, items: Vec<DynamicObject>) -> Result<Vec<Value>, kube::Error> {
    let resource = kind.api();
    items
        .into_iter()
        .map(|item| {
            let mut object = serde_json::to_value(item).map_err(kube::Error::SerdeError)?;
            if let Some(fields) = object.as_object_mut() {
                fields
                    .entry("apiVersion")
                    .or_insert_with(|| json!(resource.api_version));
                fields.entry("kind").or_insert_with(|| json!(resource.kind));
            }
            Ok(object)
        })
        .collect()
}

/// Connects as kubectl would.
///
/// # Errors
/// When there is no usable kubeconfig, or a flag is wrong.
pub(crate) async fn connect(args: &ConnectionArgs) -> Result<Cluster> {
    if rustls::crypto::ring::default_provider()
        .install_default()
        .is_err()
    {
        bail!("another TLS provider is installed already");
    }
    let options = KubeConfigOptions {
        context: args.context.clone(),
        cluster: args.cluster.clone(),
        user: args.user.clone(),
    };
    let chosen = options.context.is_some() || options.cluster.is_some() || options.user.is_some();
    let mut config = match &args.kubeconfig {
        Some(path) => {
            let at = || format!("the kubeconfig {}", path.display());
            let file = Kubeconfig::read_from(path).with_context(at)?;
            Config::from_custom_kubeconfig(file, &options)
                .await
                .with_context(at)?
        }
        None if chosen => Config::from_kubeconfig(&options)
            .await
            .context("the kubeconfig")?,
        None => match (Config::infer().await, &args.server) {
            (Ok(config), _) => config,
            (Err(_), Some(server)) => Config::new(server.parse().context("--server")?),
            (Err(error), None) => {
                let why = error
                    .source()
                    .map_or_else(|| error.to_string(), ToString::to_string);
                bail!(
                    "no cluster: set KUBECONFIG or give --kubeconfig, or run inside of a cluster ({why})"
                );
            }
        },
    };
    adjust(&mut config, args)?;
    config.connect_timeout = Some(Duration::from_secs(10));
    if let Some(timeout) = args.request_timeout.filter(|timeout| *timeout > 0) {
        config.read_timeout = Some(Duration::from_secs(timeout));
        config.reset_reader_on_write = true;
    }
    let namespace = args
        .namespace
        .clone()
        .unwrap_or_else(|| config.default_namespace.clone());
    Ok(Cluster {
        client: Client::try_from(config)?,
        namespace,
    })
}

/// What the flags say wins over what the kubeconfig says.
fn adjust(config: &mut Config, args: &ConnectionArgs) -> Result<()> {
    if let Some(server) = &args.server {
        config.cluster_url = server.parse().context("--server")?;
    }
    if let Some(token) = &args.token {
        let given: AuthInfo = serde_json::from_value(json!({ "token": token }))?;
        config.auth_info = AuthInfo {
            token: given.token,
            ..AuthInfo::default()
        };
    }
    if args.client_certificate.is_some() || args.client_key.is_some() {
        config
            .auth_info
            .client_certificate
            .clone_from(&args.client_certificate);
        config.auth_info.client_key.clone_from(&args.client_key);
        config.auth_info.client_certificate_data = None;
        config.auth_info.client_key_data = None;
    }
    if args.impersonate.is_some() {
        config.auth_info.impersonate.clone_from(&args.impersonate);
    }
    if !args.impersonate_groups.is_empty() {
        config.auth_info.impersonate_groups = Some(args.impersonate_groups.clone());
    }
    if let Some(path) = &args.certificate_authority {
        let read = CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| anyhow!("--certificate-authority {}: {error}", path.display()))?;
        config.root_cert = Some(
            read.iter()
                .map(|certificate| certificate.to_vec())
                .collect(),
        );
        config.root_cert_file = None;
    }
    if args.tls_server_name.is_some() {
        config.tls_server_name.clone_from(&args.tls_server_name);
    }
    if args.insecure_skip_tls_verify {
        config.accept_invalid_certs = true;
    }
    Ok(())
}

/// Reads an object that a Rollout names; `None` when it, or its kind, does not exist.
///
/// # Errors
/// When the API server refuses.
pub(crate) async fn find(
    client: &Client,
    object: &sluice_traffic::ObjectRef,
) -> Result<Option<Value>, kube::Error> {
    let version = object.api_version.rsplit('/').next().unwrap_or_default();
    let resource = ApiResource {
        group: object.group().to_owned(),
        version: version.to_owned(),
        api_version: object.api_version.clone(),
        kind: object.kind.clone(),
        plural: object.plural.clone(),
    };
    let api: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), &object.namespace, &resource);
    match api.get_opt(&object.name).await? {
        Some(found) => Ok(Some(
            serde_json::to_value(found).map_err(kube::Error::SerdeError)?,
        )),
        None => Ok(None),
    }
}
