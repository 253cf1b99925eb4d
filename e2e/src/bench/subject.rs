//! The controller that is measured: a process of this machine, started with the kubeconfig of the cluster.
//!
//! Sluice is started with ports of our choice. Any other controller of the same resources is a command line that is
//! started as it is, with `KUBECONFIG` in its environment, and is asked at the ports that it is said to have.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::scrape::Scrape;
use super::usage::{self, Usage};
use crate::cluster::process::Launch;
use crate::cluster::{Cluster, free_port};
use crate::install::Program;
use crate::wait::eventually;

/// The process's name in the cluster's folder.
pub const NAME: &str = "controller";

/// The namespace of the controller and of Applications.
pub const SYSTEM: &str = "sluice";

/// Requests to the API by verb; Argo Rollouts has a metric of this name too.
const REQUESTS: &str = "controller_clientset_k8s_request_total";

/// Which controller.
#[derive(Debug, Clone)]
pub enum Subject {
    /// Sluice, by the path of its program.
    Sluice(PathBuf),
    /// Another controller.
    Other(Other),
}

/// Another controller of the same resources.
#[derive(Debug, Clone)]
pub struct Other {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Where it serves `/metrics`.
    pub metrics_port: u16,
    /// Where it serves `/readyz` or `/healthz`.
    pub health_port: u16,
}

impl Subject {
    /// Its name in the table.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Subject::Sluice(_) => "sluice".to_owned(),
            Subject::Other(other) => {
                let program = other
                    .command
                    .first()
                    .map(String::as_str)
                    .unwrap_or_default();
                program.rsplit('/').next().unwrap_or(program).to_owned()
            }
        }
    }

    /// Starts it, and waits until it says that it is ready.
    ///
    /// # Errors
    /// When it does not start, or is not ready after two minutes; the error shows the end of its log.
    pub async fn start(&self, cluster: &Cluster) -> Result<Running> {
        let running = self.launch(cluster)?;
        running.ready(Duration::from_secs(120)).await?;
        Ok(running)
    }

    /// Starts it without waiting.
    ///
    /// # Errors
    /// When it does not start.
    pub fn launch(&self, cluster: &Cluster) -> Result<Running> {
        let (launch, ports) = match self {
            Subject::Sluice(program) => {
                let ports = Ports {
                    metrics: free_port()?,
                    health: free_port()?,
                    webhook: Some(free_port()?),
                };
                (sluice(cluster, program.clone(), &ports), ports)
            }
            Subject::Other(other) => {
                let ports = Ports {
                    metrics: other.metrics_port,
                    health: other.health_port,
                    webhook: None,
                };
                (words(&other.command)?, ports)
            }
        };
        let launch = launch.env("KUBECONFIG", cluster.kubeconfig().display());
        cluster.processes().ensure(launch)?;
        let pid = cluster.processes().pid(NAME);
        Ok(Running {
            cluster: cluster.clone(),
            pid: pid.context("the controller ended at once")?,
            ports,
            http: reqwest::Client::builder().no_proxy().build()?,
        })
    }
}

/// How the chart sets the allocator.
const ALLOCATOR: &str = "glibc.malloc.arena_max=1:glibc.malloc.trim_threshold=131072:glibc.malloc.mmap_threshold=131072";

/// Sluice with everything that it does by default; its logs as a cluster's would be.
fn sluice(cluster: &Cluster, program: PathBuf, ports: &Ports) -> Launch {
    let mut launch = Launch::new(NAME, &program)
        .flag("bind-address", "127.0.0.1")
        .flag("metricsPort", ports.metrics)
        .flag("healthzPort", ports.health)
        .file("source-cache-dir", &cluster.layout().path("sources"))
        .env("POD_NAMESPACE", SYSTEM)
        .env("GLIBC_TUNABLES", ALLOCATOR);
    if let Some(port) = ports.webhook {
        launch = launch.flag("webhook-port", port);
    }
    // Only what an Application renders with needs them; none of those measured does.
    for (flag, tool) in [("helm", Program::Helm), ("kustomize", Program::Kustomize)] {
        if let Ok(path) = cluster.tools().path(tool) {
            launch = launch.file(flag, path);
        }
    }
    launch
}

fn words(command: &[String]) -> Result<Launch> {
    let (program, arguments) = command.split_first().context("the command is empty")?;
    let launch = Launch::new(NAME, program.as_ref());
    Ok(arguments.iter().fold(launch, Launch::arg))
}

struct Ports {
    metrics: u16,
    health: u16,
    webhook: Option<u16>,
}

/// A controller that runs. It ends with this value; [`Running::stop`] ends it in peace.
pub struct Running {
    cluster: Cluster,
    pid: u32,
    ports: Ports,
    http: reqwest::Client,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.cluster.processes().kill_at_once(NAME);
    }
}

impl Running {
    /// Its processor time and memory.
    ///
    /// # Errors
    /// When it has ended.
    pub fn usage(&self) -> Result<Usage> {
        usage::of(self.pid)
    }

    /// Lets its peak of memory begin anew.
    pub fn forget_peak(&self) {
        usage::forget_peak(self.pid);
    }

    /// Its page of metrics.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn metrics(&self) -> Result<Scrape> {
        let url = format!("http://127.0.0.1:{}/metrics", self.ports.metrics);
        let answer = self
            .http
            .get(&url)
            .timeout(Duration::from_secs(20))
            .send()
            .await;
        let answer = answer.and_then(reqwest::Response::error_for_status);
        let page = answer.with_context(|| format!("no metrics at {url}"))?;
        Ok(Scrape::new(page.text().await?))
    }

    /// How many requests it has sent to the API, by verb and kind: `patch rollouts`.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn requests(&self) -> Result<BTreeMap<String, f64>> {
        Ok(self.metrics().await?.by(REQUESTS, &["verb", "kind"]))
    }

    /// Where Git servers tell it of pushes.
    ///
    /// # Errors
    /// When it takes none.
    pub fn webhook(&self) -> Result<String> {
        let port = self
            .ports
            .webhook
            .context("this controller takes no webhooks")?;
        Ok(format!("http://127.0.0.1:{port}/api/webhook"))
    }

    /// Waits until it says that it is ready.
    ///
    /// # Errors
    /// After `limit`, or when it ends; the error shows the end of its log.
    pub async fn ready(&self, limit: Duration) -> Result<()> {
        self.cluster
            .processes()
            .ready(NAME, limit, || async {
                match self.health("readyz").await? {
                    // Controllers without it have the older path.
                    404 => ensure!(self.health("healthz").await? == 200, "not healthy"),
                    code => ensure!(code == 200, "/readyz answers {code}"),
                }
                Ok(())
            })
            .await
    }

    async fn health(&self, path: &str) -> Result<u16> {
        let url = format!("http://127.0.0.1:{}/{path}", self.ports.health);
        let answer = self
            .http
            .get(url)
            .timeout(Duration::from_secs(2))
            .send()
            .await?;
        Ok(answer.status().as_u16())
    }

    /// Waits until a sum over its metrics is as wanted.
    ///
    /// # Errors
    /// After `limit`.
    pub async fn until(
        &self,
        what: &str,
        limit: Duration,
        done: impl Fn(&Scrape) -> bool,
    ) -> Result<()> {
        let done = &done;
        eventually(what, limit, || async move {
            if done(&self.metrics().await?) {
                return Ok(());
            }
            // The page of a large fleet is large: asking for it all the time would be measured.
            tokio::time::sleep(Duration::from_millis(200)).await;
            bail!("its metrics do not say so")
        })
        .await
    }

    /// Ends it as Kubernetes would, by SIGTERM.
    ///
    /// # Errors
    /// When it survives even SIGKILL.
    pub async fn stop(self) -> Result<()> {
        self.cluster.processes().stop(NAME).await
    }
}

/// Splits a command line at whitespace; quotes of both kinds keep it together. No shell is involved.
///
/// # Errors
/// When a quote is not closed, or there is no word.
pub fn split(line: &str) -> Result<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for character in line.chars() {
        match (quote, character) {
            (Some(open), _) if character == open => quote = None,
            (Some(_), _) => word.get_or_insert_default().push(character),
            (None, '"' | '\'') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None, _) if character.is_whitespace() => words.extend(word.take()),
            (None, _) => word.get_or_insert_default().push(character),
        }
    }
    ensure!(quote.is_none(), "a quote is not closed in `{line}`");
    words.extend(word);
    ensure!(!words.is_empty(), "the command is empty");
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_allocator_is_set_as_the_chart_does() {
        let chart = include_str!("../../../charts/sluice/templates/deployment.yaml");
        assert!(chart.contains(&format!("value: {ALLOCATOR}\n")));
    }

    #[test]
    fn a_command_is_split_at_whitespace_outside_of_quotes() {
        let words = split("/bin/c  --a 'b c' --d=\"e 'f'\" ''").unwrap();
        assert_eq!(words, ["/bin/c", "--a", "b c", "--d=e 'f'", ""]);
    }

    #[test]
    fn an_open_quote_and_an_empty_command_are_refused() {
        assert!(split("a 'b").is_err());
        assert!(split("  ").is_err());
    }

    #[test]
    fn another_controller_is_named_after_its_program() {
        let other = Subject::Other(Other {
            command: split("/opt/bin/rollouts-controller --loglevel warn").unwrap(),
            metrics_port: 8090,
            health_port: 8080,
        });
        assert_eq!(other.name(), "rollouts-controller");
    }
}
