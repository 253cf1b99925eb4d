//! Command line arguments, by the names that upstream's users have in their manifests.
//!
//! Flags of upstream that mean nothing here are accepted, and named in one log line each with the reason, so that an
//! installation can be switched over without editing its arguments. Unknown flags are refused.

use std::net::IpAddr;
use std::time::Duration;

use clap::{Arg, ArgAction, Args as _, Command, FromArgMatches, Parser};
use sluice_analysis_providers::AwsEnvironment;
use sluice_crds::object_name::is_namespace_name;
use sluice_runtime::lease::Timing;
use sluice_runtime::telemetry::LogFormat;

use crate::application;
use crate::config::{Config, Loops};

/// Progressive delivery and GitOps for Kubernetes.
#[derive(Debug, Clone, Parser)]
#[command(name = "sluice-controller", version)]
pub struct Args {
    /// Loops to run, separated by commas: rollouts, experiments, analysis, applications.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "rollouts,experiments,analysis,applications"
    )]
    pub controllers: Vec<String>,
    /// Watch one namespace only: that of --namespace, or the controller's own.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", action = ArgAction::Set)]
    pub namespaced: bool,
    /// Namespace to watch with --namespaced.
    #[arg(long, short = 'n')]
    pub namespace: Option<String>,
    /// Take care only of objects whose label argo-rollouts.argoproj.io/controller-instance-id has this value; without it,
    /// only of objects without the label.
    #[arg(long, default_value = "")]
    pub instance_id: String,
    /// Let only one of several controllers act.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "true", action = ArgAction::Set)]
    pub leader_elect: bool,
    /// Namespace of the Lease. Default: the controller's own.
    #[arg(long)]
    pub leader_election_namespace: Option<String>,
    /// How long others wait for a leader that says nothing.
    #[arg(long, default_value = "15s", value_parser = duration)]
    pub leader_election_lease_duration: Duration,
    /// How long the leader acts without a confirmed renewal.
    #[arg(long, default_value = "10s", value_parser = duration)]
    pub leader_election_renew_deadline: Duration,
    /// Time between attempts to become or to stay the leader.
    #[arg(long, default_value = "2s", value_parser = duration)]
    pub leader_election_retry_period: Duration,
    /// debug, info, warn or error.
    #[arg(long, default_value = "info")]
    pub loglevel: String,
    /// text or json.
    #[arg(long, default_value = "text", value_parser = ["text", "json", ""])]
    pub logformat: String,
    /// Requests to the API a second, watches excluded; 0: no limit.
    #[arg(long, default_value_t = 200.0)]
    pub qps: f64,
    /// Requests in a row before --qps counts.
    #[arg(long, default_value_t = 400)]
    pub burst: u32,
    /// Port of /metrics.
    #[arg(
        long = "metricsPort",
        visible_alias = "metricsport",
        default_value_t = 8090
    )]
    pub metrics_port: u16,
    /// Port of /healthz, /readyz and /debug/decisions.
    #[arg(long = "healthzPort", default_value_t = 8080)]
    pub healthz_port: u16,
    /// Address on which the ports are opened.
    #[arg(long, default_value = "0.0.0.0")]
    pub bind_address: IpAddr,
    /// Rollouts that are worked on at once.
    #[arg(long, default_value_t = 10)]
    pub rollout_threads: usize,
    /// Experiments that are worked on at once.
    #[arg(long, default_value_t = 10)]
    pub experiment_threads: usize,
    /// AnalysisRuns that are worked on at once; measurements under way do not count.
    #[arg(long, default_value_t = 30)]
    pub analysis_threads: usize,
    /// Seconds after which an object is looked at again if nothing happens.
    #[arg(long, default_value_t = 900)]
    pub rollout_resync: u64,
    /// Path of a kubeconfig. Default: the pod's service account, or the usual places.
    #[arg(long)]
    pub kubeconfig: Option<String>,
    /// Context of the kubeconfig.
    #[arg(long)]
    pub context: Option<String>,
    /// Prometheus that is asked when a metric names no address.
    #[arg(long, env = "ARGO_ROLLOUTS_PROMETHEUS_ADDRESS")]
    pub prometheus_address: Option<String>,
    /// Path of the kubeconfig of the cluster in which metrics run their Jobs, or in-cluster. Default: the cluster of the
    /// runs.
    #[arg(long, env = "ARGO_ROLLOUTS_ANALYSIS_JOB_KUBECONFIG")]
    pub analysis_job_kubeconfig: Option<String>,
    /// Namespace in which metrics run their Jobs. Default: that of the run.
    #[arg(long, env = "ARGO_ROLLOUTS_ANALYSIS_JOB_NAMESPACE")]
    pub analysis_job_namespace: Option<String>,
    /// Let metrics reach link-local addresses, cloud metadata services among them.
    #[arg(long)]
    pub allow_link_local_metrics: bool,
    /// Settings of the sync loop.
    #[command(flatten)]
    pub applications: application::Settings,
}

/// Flags of upstream without a meaning here, and why.
const WITHOUT_MEANING: &[(&str, &str)] = &[
    ("kloglevel", "there is one log, set by --loglevel"),
    ("klog-v", "there is one log, set by --loglevel"),
    ("service-threads", "Services are handled with their Rollout"),
    (
        "ingress-threads",
        "Ingresses are handled with their Rollout",
    ),
    (
        "ephemeral-metadata-threads",
        "work is bounded by --rollout-threads",
    ),
    (
        "ephemeral-metadata-update-pod-retries",
        "conflicts are observed and decided again",
    ),
    ("istio-api-version", "this router is not supported"),
    ("ambassador-api-version", "this router is not supported"),
    ("traffic-split-api-version", "this router is not supported"),
    ("traefik-api-group", "traefik.io is used"),
    ("traefik-api-version", "traefik.io/v1alpha1 is used"),
    ("ingress-api-version", "networking.k8s.io/v1 is used"),
    ("appmesh-crd-version", "this router is not supported"),
    ("alb-ingress-classes", "this router is not supported"),
    (
        "nginx-ingress-classes",
        "the class of the stable Ingress is kept",
    ),
    ("aws-verify-target-group", "this router is not supported"),
    ("alb-verify-weight", "this router is not supported"),
    (
        "aws-target-group-binding-api-version",
        "this router is not supported",
    ),
    ("alb-tag-key-resource-id", "this router is not supported"),
    (
        "self-service-notification-enabled",
        "notifications are not sent by this controller",
    ),
    (
        "enable-pprof-address",
        "there is no Go profiler; see /metrics",
    ),
];

/// The arguments, and a sentence for each flag that was given and means nothing here.
#[derive(Debug, Clone)]
pub struct Given {
    /// The arguments.
    pub args: Args,
    /// As in `--kloglevel has no effect: there is one log, set by --loglevel`.
    pub without_effect: Vec<String>,
}

/// Reads the command line of the process; ends it with a message when it is wrong.
#[must_use]
pub fn from_command_line() -> Given {
    read(std::env::args_os()).unwrap_or_else(|error| error.exit())
}

/// Reads a command line, the program's name first.
///
/// # Errors
/// When a flag is unknown or a value is wrong, or when help or version were asked for.
pub fn read<I, T>(line: I) -> Result<Given, clap::Error>
where
    I: IntoIterator<Item = T>,
    T: Into<std::ffi::OsString> + Clone,
{
    let mut command = Args::augment_args(Command::new("sluice-controller"));
    for (name, _) in WITHOUT_MEANING {
        command = command.arg(Arg::new(*name).long(*name).num_args(0..=1).hide(true));
    }
    let matches = command.try_get_matches_from(line)?;
    let without_effect = WITHOUT_MEANING
        .iter()
        .filter(|(name, _)| matches.contains_id(name) && matches.value_source(name).is_some())
        .map(|(name, why)| format!("--{name} has no effect: {why}"))
        .collect();
    Ok(Given {
        args: Args::from_arg_matches(&matches)?,
        without_effect,
    })
}

impl Args {
    /// `--logformat`.
    #[must_use]
    pub fn log_format(&self) -> LogFormat {
        if self.logformat == "json" {
            LogFormat::Json
        } else {
            LogFormat::Text
        }
    }

    /// `--analysis-job-kubeconfig`; empty counts as not given, as it does upstream.
    pub(crate) fn analysis_job_kubeconfig(&self) -> Option<&str> {
        let path = self.analysis_job_kubeconfig.as_deref();
        path.filter(|path| !path.is_empty())
    }

    fn analysis_job_namespace(&self) -> Result<Option<String>, String> {
        let namespace = self.analysis_job_namespace.clone();
        let namespace = namespace.filter(|namespace| !namespace.is_empty());
        match namespace {
            Some(wrong) if !is_namespace_name(&wrong) => Err(format!(
                "--analysis-job-namespace (ARGO_ROLLOUTS_ANALYSIS_JOB_NAMESPACE): {wrong:?} is not a namespace; \
                 write lower-case letters, digits and dashes, at most 63"
            )),
            namespace => Ok(namespace),
        }
    }

    /// What the arguments mean for a controller whose pod lives in `own_namespace` on `host`.
    ///
    /// # Errors
    /// When a loop of `--controllers` does not exist, when the durations of the leader election do not fit together, or
    /// when a name is none.
    pub fn config(&self, own_namespace: &str, host: &str) -> Result<Config, String> {
        let mut loops = Loops {
            rollouts: false,
            experiments: false,
            analysis: false,
            applications: false,
        };
        for name in self
            .controllers
            .iter()
            .map(|name| name.trim())
            .filter(|name| !name.is_empty())
        {
            match name {
                "rollouts" => loops.rollouts = true,
                "experiments" => loops.experiments = true,
                "analysis" => loops.analysis = true,
                "applications" => loops.applications = true,
                other => {
                    return Err(format!(
                        "--controllers: {other:?} is not a loop; write some of rollouts, experiments, analysis, applications"
                    ));
                }
            }
        }
        let timing = Timing {
            lease: self.leader_election_lease_duration,
            renew: self.leader_election_renew_deadline,
            retry: self.leader_election_retry_period,
        };
        if timing.lease <= timing.renew || timing.renew <= timing.retry {
            return Err(format!(
                "leader election: lease duration {:?} > renew deadline {:?} > retry period {:?} does not hold",
                timing.lease, timing.renew, timing.retry
            ));
        }
        let watched = self
            .namespace
            .clone()
            .unwrap_or_else(|| own_namespace.to_owned());
        Ok(Config {
            watched_namespace: self.namespaced.then_some(watched),
            own_namespace: own_namespace.to_owned(),
            lease_namespace: self
                .leader_election_namespace
                .clone()
                .unwrap_or_else(|| own_namespace.to_owned()),
            host: host.to_owned(),
            instance_id: self.instance_id.clone(),
            leader_elect: self.leader_elect,
            timing,
            bind: self.bind_address,
            metrics_port: self.metrics_port,
            healthz_port: self.healthz_port,
            qps: self.qps,
            burst: self.burst,
            loops,
            rollout_workers: self.rollout_threads.max(1),
            experiment_workers: self.experiment_threads.max(1),
            analysis_workers: self.analysis_threads.max(1),
            resync: Duration::from_secs(self.rollout_resync.max(1)),
            analysis_job_namespace: self.analysis_job_namespace()?,
            providers: sluice_analysis_providers::Settings {
                prometheus_address: self.prometheus_address.clone(),
                allow_link_local: self.allow_link_local_metrics,
                aws: AwsEnvironment::read(variable),
            },
            applications: self.applications.clone(),
        })
    }
}

fn variable(key: &str) -> Option<String> {
    std::env::var(key).ok()
}

fn duration(text: &str) -> Result<Duration, String> {
    let duration = sluice_crds::duration::parse(text).map_err(|error| error.to_string())?;
    Duration::try_from(duration).map_err(|_| format!("{text:?} is negative"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(line: &[&str]) -> Given {
        read(["sluice-controller"].iter().chain(line)).unwrap()
    }

    #[test]
    fn arguments_of_an_upstream_installation_are_accepted() {
        let given = given(&[
            "--namespaced",
            "--instance-id",
            "blue",
            "--leader-elect=false",
            "--loglevel=debug",
            "--logformat",
            "json",
            "--metricsport=9000",
            "--healthzPort",
            "9001",
            "--kloglevel=2",
            "--istio-api-version",
            "v1",
            "--self-service-notification-enabled",
        ]);
        assert!(given.args.namespaced && !given.args.leader_elect);
        assert_eq!(
            (given.args.metrics_port, given.args.healthz_port),
            (9000, 9001)
        );
        assert_eq!(given.args.log_format(), LogFormat::Json);
        assert_eq!(given.without_effect.len(), 3);
        assert!(
            given.without_effect.contains(
                &"--istio-api-version has no effect: this router is not supported".into()
            )
        );
        let config = given.args.config("own", "host").unwrap();
        assert_eq!(config.watched_namespace.as_deref(), Some("own"));
        assert_eq!(config.instance_id, "blue");
    }

    #[test]
    fn without_arguments_everything_runs_everywhere() {
        let config = given(&[]).args.config("own", "host").unwrap();
        assert!(config.loops.rollouts && config.loops.analysis && config.loops.applications);
        assert!(config.loops.experiments);
        assert!(config.leader_elect && config.watched_namespace.is_none());
        assert_eq!(config.timing, Timing::default());
        assert!(given(&[]).without_effect.is_empty());
    }

    #[test]
    fn where_jobs_run_is_said_by_flags_or_by_the_variables_of_upstream() {
        let command = Args::augment_args(Command::new("x"));
        for (flag, variable) in [
            (
                "analysis-job-kubeconfig",
                "ARGO_ROLLOUTS_ANALYSIS_JOB_KUBECONFIG",
            ),
            (
                "analysis-job-namespace",
                "ARGO_ROLLOUTS_ANALYSIS_JOB_NAMESPACE",
            ),
        ] {
            let mut arguments = command.get_arguments();
            let found = arguments.find(|argument| argument.get_long() == Some(flag));
            assert_eq!(found.unwrap().get_env(), Some(variable.as_ref()));
        }
        let namespace = |namespace: &str| {
            let given = given(&["--analysis-job-namespace", namespace]);
            let config = given.args.config("own", "host");
            config.map(|config| config.analysis_job_namespace)
        };
        assert_eq!(namespace("jobs").unwrap().as_deref(), Some("jobs"));
        assert_eq!(namespace("").unwrap(), None, "as if it were not there");
        assert!(namespace("a/b").unwrap_err().contains("\"a/b\""));
        let given = given(&["--analysis-job-kubeconfig", ""]);
        assert_eq!(given.args.analysis_job_kubeconfig(), None);
    }

    /// argo-rollouts#4768: controllers of different instances took the same Lease, and only one of them worked.
    #[test]
    fn r18_each_instance_has_a_lease_of_its_own() {
        let name = |arguments: &[&str]| {
            let config = given(arguments).args.config("own", "host").unwrap();
            config.lease_name()
        };
        assert_eq!(name(&[]), "argo-rollouts-controller-lock");
        assert_eq!(
            name(&["--instance-id", "blue"]),
            "argo-rollouts-controller-lock-blue"
        );
    }

    #[test]
    fn each_loop_can_run_alone() {
        let config = given(&["--controllers", "analysis"])
            .args
            .config("own", "host")
            .unwrap();
        assert!(config.loops.analysis && !config.loops.rollouts && !config.loops.applications);
        assert!(
            given(&["--controllers", "rollout"])
                .args
                .config("own", "host")
                .unwrap_err()
                .contains("\"rollout\"")
        );
    }

    #[test]
    fn mistakes_are_refused_with_a_reason() {
        assert!(read(["x", "--no-such-flag"]).is_err());
        let error = given(&["--leader-election-renew-deadline", "20s"])
            .args
            .config("own", "host")
            .unwrap_err();
        assert!(error.contains("lease duration 15s"), "{error}");
    }
}
