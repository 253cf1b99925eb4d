//! The objects that are measured: a Rollout whose pods run on simulated nodes, and what its router needs.

use kube::api::{ApiResource, DynamicObject};
use serde_json::{Value, json};

use crate::cluster::{GATEWAY_NAMESPACE, NODE_LABEL, NODE_TAINT};
use crate::demo::stage::kind;

/// The router that a Rollout drives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Router {
    /// An HTTPRoute of Gateway API, under the name of upstream's plugin.
    Gateway,
    /// A canary Ingress, which upstream's controller drives without a plugin too.
    Nginx,
}

/// How long a canary Ingress' weight annotation is named.
const NGINX_WEIGHT: &str = "nginx.ingress.kubernetes.io/canary-weight";

impl Router {
    /// `spec.strategy.canary.trafficRouting` of a Rollout of this name.
    fn routing(self, namespace: &str, name: &str) -> Value {
        match self {
            Router::Gateway => json!({"plugins": {"argoproj-labs/gatewayAPI": {
                "httpRoute": name, "namespace": namespace,
            }}}),
            Router::Nginx => json!({"nginx": {"stableIngress": name}}),
        }
    }

    /// The object of the router that a person would write for a Rollout.
    fn object(self, name: &str) -> Value {
        let (stable, canary) = (stable(name), canary(name));
        match self {
            Router::Gateway => json!({
                "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
                "metadata": {"name": name},
                "spec": {
                    "parentRefs": [{"name": "traefik", "namespace": GATEWAY_NAMESPACE}],
                    "hostnames": [format!("{name}.local")],
                    "rules": [{"backendRefs": [
                        {"name": stable, "port": 80, "weight": 100},
                        {"name": canary, "port": 80, "weight": 0},
                    ]}],
                },
            }),
            Router::Nginx => json!({
                "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
                "metadata": {"name": name},
                "spec": {
                    "ingressClassName": "nginx",
                    "rules": [{"host": format!("{name}.local"), "http": {"paths": [{
                        "path": "/", "pathType": "Prefix",
                        "backend": {"service": {"name": stable, "port": {"number": 80}}},
                    }]}}],
                },
            }),
        }
    }

    /// The kind of object that carries the weight.
    #[must_use]
    pub fn resource(self) -> ApiResource {
        match self {
            Router::Gateway => kind("gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes"),
            Router::Nginx => kind("networking.k8s.io", "v1", "Ingress", "ingresses"),
        }
    }

    /// The Rollout whose router an object is, and the canary's weight in it.
    #[must_use]
    pub fn weight(self, object: &DynamicObject) -> Option<(String, i64)> {
        let name = object.metadata.name.as_deref()?;
        match self {
            Router::Gateway => {
                let backends = object
                    .data
                    .pointer("/spec/rules/0/backendRefs")?
                    .as_array()?;
                let own = canary(name);
                let backend = backends.iter().find(|backend| backend["name"] == *own)?;
                Some((name.to_owned(), backend["weight"].as_i64()?))
            }
            Router::Nginx => {
                // The canary Ingress of a Rollout is called ROLLOUT-INGRESS-canary; both have the same name here.
                let double = name.strip_suffix("-canary")?;
                let rollout = double.get(..double.len() / 2)?;
                let weight = object.metadata.annotations.as_ref()?.get(NGINX_WEIGHT)?;
                Some((rollout.to_owned(), weight.parse().ok()?))
            }
        }
    }
}

/// What a Rollout of the benchmark looks like.
#[derive(Debug, Clone)]
pub struct Shape {
    /// `spec.replicas`.
    pub replicas: usize,
    /// `spec.strategy.canary.steps`.
    pub steps: Value,
    /// The router; without one, weights are approximated by pods.
    pub router: Option<Router>,
    /// The AnalysisTemplate of a background analysis.
    pub analysis: Option<&'static str>,
}

impl Shape {
    /// All objects of one app: Services and router, if it has one, and the Rollout, last.
    #[must_use]
    pub fn objects(&self, namespace: &str, name: &str) -> Vec<Value> {
        let mut canary_strategy = json!({"steps": self.steps});
        let mut objects = Vec::new();
        if let Some(router) = self.router {
            canary_strategy["stableService"] = stable(name).into();
            canary_strategy["canaryService"] = canary(name).into();
            canary_strategy["trafficRouting"] = router.routing(namespace, name);
            objects.extend([service(name, &stable(name)), service(name, &canary(name))]);
            objects.push(router.object(name));
        }
        if let Some(template) = self.analysis {
            canary_strategy["analysis"] = json!({"templates": [{"templateName": template}]});
        }
        objects.push(json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
            "metadata": {"name": name},
            "spec": {
                "replicas": self.replicas,
                "selector": {"matchLabels": {"app": name}},
                "strategy": {"canary": canary_strategy},
                "template": template(name),
            },
        }));
        objects
    }
}

/// A pod template like that of a small app, which runs on simulated nodes only.
fn template(name: &str) -> Value {
    let (label, value) = NODE_LABEL;
    json!({
        "metadata": {"labels": {"app": name}},
        "spec": {
            "nodeSelector": {label: value},
            "tolerations": [{"key": NODE_TAINT, "operator": "Exists"}],
            "containers": [{
                "name": "app",
                "image": "registry.invalid/app:v1",
                "ports": [{"name": "http", "containerPort": 8080}],
                "env": [{"name": "LOG_LEVEL", "value": "info"}],
                "readinessProbe": {"httpGet": {"path": "/healthz", "port": "http"}},
                "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
            }],
        },
    })
}

/// A patch that gives a Rollout another version of its app.
#[must_use]
pub fn update(version: &str) -> Value {
    let image = format!("registry.invalid/app:{version}");
    json!([{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": image}])
}

fn service(app: &str, name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": name},
        "spec": {
            "selector": {"app": app},
            "ports": [{"name": "http", "port": 80, "targetPort": "http"}],
        },
    })
}

fn stable(name: &str) -> String {
    format!("{name}-stable")
}

fn canary(name: &str) -> String {
    format!("{name}-canary")
}

/// `rollouts`.
#[must_use]
pub fn rollouts() -> ApiResource {
    kind("argoproj.io", "v1alpha1", "Rollout", "rollouts")
}

/// `replicasets`.
#[must_use]
pub fn replica_sets() -> ApiResource {
    kind("apps", "v1", "ReplicaSet", "replicasets")
}

/// `analysisruns`.
#[must_use]
pub fn analysis_runs() -> ApiResource {
    kind("argoproj.io", "v1alpha1", "AnalysisRun", "analysisruns")
}

/// `applications`.
#[must_use]
pub fn applications() -> ApiResource {
    kind("argoproj.io", "v1alpha1", "Application", "applications")
}

/// An Application `app` that follows the folder `app` of a repository, and heals and prunes by itself.
#[must_use]
pub fn application(url: &str, namespace: &str) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
        "metadata": {"name": "app", "namespace": super::subject::SYSTEM},
        "spec": {
            "project": "default",
            "source": {"repoURL": url, "targetRevision": "main", "path": "app"},
            "destination": {"server": "https://kubernetes.default.svc", "namespace": namespace},
            "syncPolicy": {"automated": {"prune": true, "selfHeal": true}},
        },
    })
}

/// A namespace.
#[must_use]
pub fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(router: Option<Router>) -> Shape {
        Shape {
            replicas: 2,
            steps: json!([{"setWeight": 20}]),
            router,
            analysis: None,
        }
    }

    #[test]
    fn the_weight_is_found_in_what_each_router_carries() {
        let objects = shape(Some(Router::Gateway)).objects("bench", "app-1");
        let route = serde_json::from_value(objects[2].clone()).unwrap();
        assert_eq!(
            Router::Gateway.weight(&route),
            Some(("app-1".to_owned(), 0))
        );
        let ingress = serde_json::from_value(json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
            "metadata": {"name": "app-1-app-1-canary", "annotations": {NGINX_WEIGHT: "40"}},
        }))
        .unwrap();
        assert_eq!(
            Router::Nginx.weight(&ingress),
            Some(("app-1".to_owned(), 40))
        );
    }

    #[test]
    fn a_rollout_without_a_router_needs_nothing_beside_it() {
        assert_eq!(shape(None).objects("bench", "a").len(), 1);
        let routed = shape(Some(Router::Nginx)).objects("bench", "a");
        let kinds: Vec<&str> = routed.iter().filter_map(|o| o["kind"].as_str()).collect();
        assert_eq!(kinds, ["Service", "Service", "Ingress", "Rollout"]);
    }
}
