//! Analysis: templates of metrics, and runs that measure them.

mod metric;
mod provider;
mod run;

pub use super::rollout::canary::AnalysisTemplateRef;
pub use metric::{Argument, DryRun, MeasurementRetention, Metric, SecretKeyRef, ValueFrom};
pub use provider::{
    Authentication, BasicAuth, JobProvider, MetricProvider, OAuth2, PrometheusProvider,
    PrometheusRangeQuery, Sigv4, WebHeader, WebProvider,
};
pub(crate) use run::STATUS_AND_AGE;
pub use run::{
    AnalysisRun, AnalysisRunMetadata, AnalysisRunSpec, AnalysisRunStatus, AnalysisTemplate,
    AnalysisTemplateSpec, ClusterAnalysisTemplate, ClusterAnalysisTemplateSpec, Measurement,
    MetricResult, RunSummary, TtlStrategy,
};
