//! What a controller is told to do, as plain data.

use std::net::IpAddr;
use std::time::Duration;

use sluice_runtime::lease::Timing;

use crate::application;

/// Settings of one controller process.
#[derive(Debug, Clone)]
pub struct Config {
    /// The only namespace to watch; all without it.
    pub watched_namespace: Option<String>,
    /// The namespace in which the controller lives.
    pub own_namespace: String,
    /// The namespace of the Lease.
    pub lease_namespace: String,
    /// Name of the pod or machine: the readable part of the identity in the Lease.
    pub host: String,
    /// `--instance-id`, empty without one.
    pub instance_id: String,
    /// Whether a Lease is needed to act.
    pub leader_elect: bool,
    /// Durations of the leader election.
    pub timing: Timing,
    /// Address of the ports.
    pub bind: IpAddr,
    /// Port of `/metrics`; 0 takes any.
    pub metrics_port: u16,
    /// Port of `/healthz`; 0 takes any.
    pub healthz_port: u16,
    /// Requests a second; 0 without limit.
    pub qps: f64,
    /// Requests in a row.
    pub burst: u32,
    /// Which loops run.
    pub loops: Loops,
    /// Rollouts that are worked on at once.
    pub rollout_workers: usize,
    /// Experiments that are worked on at once.
    pub experiment_workers: usize,
    /// AnalysisRuns that are worked on at once.
    pub analysis_workers: usize,
    /// When an object is looked at again if nothing happens.
    pub resync: Duration,
    /// The namespace of the Jobs of metrics; that of the run without it.
    pub analysis_job_namespace: Option<String>,
    /// Settings of the metric providers.
    pub providers: sluice_analysis_providers::Settings,
    /// Settings of the sync loop.
    pub applications: application::Settings,
}

/// Which loops run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loops {
    /// Rollouts.
    pub rollouts: bool,
    /// Experiments.
    pub experiments: bool,
    /// AnalysisRuns.
    pub analysis: bool,
    /// Applications.
    pub applications: bool,
}

impl Config {
    /// Name of the Lease: `argo-rollouts-controller-lock`, with the instance when there is one.
    #[must_use]
    pub fn lease_name(&self) -> String {
        if self.instance_id.is_empty() {
            "argo-rollouts-controller-lock".to_owned()
        } else {
            format!("argo-rollouts-controller-lock-{}", self.instance_id)
        }
    }

    /// Label selector of the objects that this instance takes care of.
    #[must_use]
    pub fn instance_selector(&self) -> String {
        let label = sluice_crds::names::INSTANCE_ID;
        if self.instance_id.is_empty() {
            format!("!{label}")
        } else {
            format!("{label}={}", self.instance_id)
        }
    }
}
