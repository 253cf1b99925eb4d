//! `spec.strategy.canary.trafficRouting`: which objects of which routers carry the weights.
//!
//! Several routers may be set at once; each gets the same weights.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_with::skip_serializing_none;

/// Name of the plugin that Sluice implements natively: Gateway API routes.
pub const GATEWAY_API_PLUGIN: &str = "argoproj-labs/gatewayAPI";

/// `trafficRouting`: one field for each router.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrafficRouting {
    /// Istio VirtualServices and DestinationRules.
    pub istio: Option<IstioTrafficRouting>,
    /// ingress-nginx canary annotations.
    pub nginx: Option<NginxTrafficRouting>,
    /// AWS Load Balancer Controller.
    pub alb: Option<AlbTrafficRouting>,
    /// Service Mesh Interface TrafficSplit.
    pub smi: Option<SmiTrafficRouting>,
    /// Ambassador Mappings.
    pub ambassador: Option<AmbassadorTrafficRouting>,
    /// AWS App Mesh.
    pub app_mesh: Option<AppMeshTrafficRouting>,
    /// Traefik's TraefikService.
    pub traefik: Option<TraefikTrafficRouting>,
    /// Apache APISIX.
    pub apisix: Option<ApisixTrafficRouting>,
    /// Routers by plugin name, each with its own settings; [`GATEWAY_API_PLUGIN`] is built in.
    #[schemars(schema_with = "crate::schema::plugins")]
    pub plugins: Option<BTreeMap<String, Value>>,
    /// Names of the header and mirror routes that steps may make, in order of priority.
    pub managed_routes: Option<Vec<ManagedRoute>>,
    /// What all weights sum to. Default 100; only nginx and plugins take another value.
    pub max_traffic_weight: Option<i32>,
}

/// A route that steps own.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManagedRoute {
    /// Its name.
    pub name: Option<String>,
}

/// `istio`.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IstioTrafficRouting {
    /// One VirtualService.
    pub virtual_service: Option<IstioVirtualService>,
    /// Several; exclusive with `virtualService`.
    pub virtual_services: Option<Vec<IstioVirtualService>>,
    /// Subsets whose labels follow the revisions.
    pub destination_rule: Option<IstioDestinationRule>,
}

/// A VirtualService and its routes.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IstioVirtualService {
    /// `name` or `name.namespace`.
    pub name: Option<String>,
    /// HTTP routes by name; may be absent when there is one.
    pub routes: Option<Vec<String>>,
    /// TLS routes.
    pub tls_routes: Option<Vec<TlsRoute>>,
    /// TCP routes.
    pub tcp_routes: Option<Vec<TcpRoute>>,
}

/// Picks TLS routes of a VirtualService.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TlsRoute {
    /// By port.
    pub port: Option<i64>,
    /// By SNI host names.
    pub sni_hosts: Option<Vec<String>>,
}

/// Picks TCP routes of a VirtualService.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TcpRoute {
    /// By port.
    pub port: Option<i64>,
}

/// A DestinationRule with a subset for each side.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IstioDestinationRule {
    /// Its name.
    pub name: Option<String>,
    /// Subset of the canary.
    pub canary_subset_name: Option<String>,
    /// Subset of the stable side.
    pub stable_subset_name: Option<String>,
    /// Subsets of the rule that are left alone.
    pub additional_subset_names: Option<Vec<String>>,
}

/// `nginx`.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NginxTrafficRouting {
    /// Prefix of the annotations. Default `nginx.ingress.kubernetes.io`.
    pub annotation_prefix: Option<String>,
    /// Ingress that routes to the stable Service.
    pub stable_ingress: Option<String>,
    /// Several; exclusive with `stableIngress`.
    pub stable_ingresses: Option<Vec<String>>,
    /// Annotations of the canary Ingress, without prefix.
    pub additional_ingress_annotations: Option<BTreeMap<String, String>>,
    /// Annotations of the canary Ingress, as they are.
    pub canary_ingress_annotations: Option<BTreeMap<String, String>>,
}

/// `alb`.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlbTrafficRouting {
    /// The Ingress.
    pub ingress: Option<String>,
    /// Several; exclusive with `ingress`.
    pub ingresses: Option<Vec<String>>,
    /// Port of the Services.
    pub service_port: Option<i32>,
    /// Service in the Ingress's rules. Default: the stable Service.
    pub root_service: Option<String>,
    /// Sticky sessions.
    pub stickiness_config: Option<StickinessConfig>,
    /// Prefix of the annotations. Default `alb.ingress.kubernetes.io`.
    pub annotation_prefix: Option<String>,
}

/// Sticky sessions of target groups.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StickinessConfig {
    /// On or off.
    pub enabled: Option<bool>,
    /// How long.
    pub duration_seconds: Option<i64>,
}

/// `smi`.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SmiTrafficRouting {
    /// Service that clients use. Default: the stable Service.
    pub root_service: Option<String>,
    /// Name of the TrafficSplit. Default: the Rollout's.
    pub traffic_split_name: Option<String>,
}

/// `ambassador`.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AmbassadorTrafficRouting {
    /// Mappings to clone.
    pub mappings: Option<Vec<String>>,
}

/// `appMesh`.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppMeshTrafficRouting {
    /// The virtual service.
    pub virtual_service: Option<AppMeshVirtualService>,
    /// The two nodes.
    pub virtual_node_group: Option<AppMeshVirtualNodeGroup>,
}

/// A virtual service and its routes.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppMeshVirtualService {
    /// Its name.
    pub name: Option<String>,
    /// Routes by name.
    pub routes: Option<Vec<String>>,
}

/// The two virtual nodes.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppMeshVirtualNodeGroup {
    /// Of the canary.
    pub canary_virtual_node_ref: Option<AppMeshVirtualNodeReference>,
    /// Of the stable side.
    pub stable_virtual_node_ref: Option<AppMeshVirtualNodeReference>,
}

/// A virtual node.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppMeshVirtualNodeReference {
    /// Its name.
    pub name: Option<String>,
}

/// `traefik`.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TraefikTrafficRouting {
    /// The TraefikService with the weights.
    pub weighted_traefik_service_name: Option<String>,
}

/// `apisix`.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApisixTrafficRouting {
    /// The route.
    pub route: Option<ApisixRoute>,
}

/// An ApisixRoute and its rules.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApisixRoute {
    /// Its name.
    pub name: Option<String>,
    /// Rules by name.
    pub rules: Option<Vec<String>>,
}
