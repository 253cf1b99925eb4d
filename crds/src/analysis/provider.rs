//! Who is asked for a metric. Exactly one field of [`MetricProvider`] is set.
//!
//! Prometheus, web and job are typed; the settings of the others are kept as they are.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use serde_with::skip_serializing_none;

/// `provider` of a metric; exactly one field is set.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MetricProvider {
    /// Prometheus or what speaks its API.
    pub prometheus: Option<PrometheusProvider>,
    /// An HTTP endpoint that answers with JSON.
    pub web: Option<WebProvider>,
    /// A Kubernetes Job.
    pub job: Option<JobProvider>,
    /// Kayenta.
    #[schemars(schema_with = "crate::schema::object")]
    pub kayenta: Option<Map<String, Value>>,
    /// Wavefront.
    #[schemars(schema_with = "crate::schema::object")]
    pub wavefront: Option<Map<String, Value>>,
    /// New Relic.
    #[schemars(schema_with = "crate::schema::object")]
    pub new_relic: Option<Map<String, Value>>,
    /// Datadog.
    #[schemars(schema_with = "crate::schema::object")]
    pub datadog: Option<Map<String, Value>>,
    /// CloudWatch.
    #[schemars(schema_with = "crate::schema::object")]
    pub cloud_watch: Option<Map<String, Value>>,
    /// Graphite.
    #[schemars(schema_with = "crate::schema::object")]
    pub graphite: Option<Map<String, Value>>,
    /// InfluxDB.
    #[schemars(schema_with = "crate::schema::object")]
    pub influxdb: Option<Map<String, Value>>,
    /// SkyWalking.
    #[serde(rename = "skywalking")]
    #[schemars(schema_with = "crate::schema::object")]
    pub sky_walking: Option<Map<String, Value>>,
    /// Providers by plugin name, each with its own settings.
    #[schemars(schema_with = "crate::schema::plugins")]
    pub plugin: Option<Map<String, Value>>,
}

impl MetricProvider {
    /// Keys of the providers that are set, in the order of the API. A valid metric has exactly one.
    #[must_use]
    pub fn kinds(&self) -> Vec<&'static str> {
        [
            ("prometheus", self.prometheus.is_some()),
            ("web", self.web.is_some()),
            ("job", self.job.is_some()),
            ("kayenta", self.kayenta.is_some()),
            ("wavefront", self.wavefront.is_some()),
            ("newRelic", self.new_relic.is_some()),
            ("datadog", self.datadog.is_some()),
            ("cloudWatch", self.cloud_watch.is_some()),
            ("graphite", self.graphite.is_some()),
            ("influxdb", self.influxdb.is_some()),
            ("skywalking", self.sky_walking.is_some()),
            ("plugin", self.plugin.is_some()),
        ]
        .into_iter()
        .filter_map(|(key, set)| set.then_some(key))
        .collect()
    }
}

/// `provider.prometheus`.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PrometheusProvider {
    /// Base URL. Default: the controller's own setting.
    pub address: Option<String>,
    /// PromQL.
    pub query: Option<String>,
    /// How to sign in.
    pub authentication: Option<Authentication>,
    /// Seconds. Default 30.
    pub timeout: Option<i64>,
    /// Do not check the server's certificate.
    pub insecure: Option<bool>,
    /// PEM bundle of the authorities that are trusted for this server, instead of the system's.
    pub ca_cert: Option<String>,
    /// Headers of the request.
    pub headers: Option<Vec<WebHeader>>,
    /// Ask for a range instead of an instant.
    pub range_query: Option<PrometheusRangeQuery>,
}

/// A range query.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PrometheusRangeQuery {
    /// Expression that gives the start.
    pub start: Option<String>,
    /// Expression that gives the end.
    pub end: Option<String>,
    /// Go duration between points.
    pub step: Option<String>,
}

/// How to sign in.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Authentication {
    /// User and password.
    pub basic_auth: Option<BasicAuth>,
    /// AWS Signature Version 4.
    pub sigv4: Option<Sigv4>,
    /// OAuth 2 client credentials.
    pub oauth2: Option<OAuth2>,
}

/// User and password; both are templates, so that they can come from an argument with a `secretKeyRef`.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BasicAuth {
    /// User.
    pub username: Option<String>,
    /// Password.
    pub password: Option<String>,
}

/// AWS Signature Version 4.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Sigv4 {
    /// Region.
    pub region: Option<String>,
    /// Profile.
    pub profile: Option<String>,
    /// Role to take on.
    #[serde(rename = "roleArn")]
    pub role_arn: Option<String>,
}

/// OAuth 2 client credentials.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OAuth2 {
    /// Where tokens come from.
    pub token_url: Option<String>,
    /// Client.
    pub client_id: Option<String>,
    /// Its secret.
    pub client_secret: Option<String>,
    /// Scopes to ask for.
    pub scopes: Option<Vec<String>>,
}

/// An HTTP header.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebHeader {
    /// Name.
    #[serde(default)]
    pub key: String,
    /// Value.
    pub value: Option<String>,
    /// Where the value comes from.
    pub value_from: Option<super::metric::ValueFrom>,
}

/// `provider.web`.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebProvider {
    /// `GET` (default), `POST` or `PUT`.
    pub method: Option<String>,
    /// Address.
    #[serde(default)]
    pub url: String,
    /// Headers.
    pub headers: Option<Vec<WebHeader>>,
    /// Body of a POST or PUT.
    pub body: Option<String>,
    /// JSON body of a POST or PUT.
    #[schemars(schema_with = "crate::schema::any")]
    pub json_body: Option<Value>,
    /// Default 10.
    pub timeout_seconds: Option<i64>,
    /// What of the answer is the result. Default `{$}`.
    pub json_path: Option<String>,
    /// Do not check the server's certificate.
    pub insecure: Option<bool>,
    /// How to sign in.
    pub authentication: Option<Authentication>,
}

/// `provider.job`.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobProvider {
    /// Labels and annotations of the Job.
    #[schemars(schema_with = "crate::schema::object")]
    pub metadata: Option<Map<String, Value>>,
    /// `spec` of the Job, lossless.
    #[schemars(schema_with = "crate::schema::object")]
    pub spec: Option<Map<String, Value>>,
}
