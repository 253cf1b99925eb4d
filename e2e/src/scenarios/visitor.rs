//! A visitor of a Service: one request after the other, each on a connection of its own, and what answered.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tokio::task::JoinHandle;

use super::Stage;
use super::watch::services;
use crate::demo::stage::text;
use crate::wait::eventually;

/// Time between two requests.
const EVERY: Duration = Duration::from_millis(40);

/// Requests by the version that answered; `none` for those without a good answer.
pub(super) type Answers = BTreeMap<String, u32>;

/// Asks for as long as it lives.
pub(super) struct Visitor {
    answers: Arc<Mutex<Answers>>,
    task: JoinHandle<()>,
}

impl Visitor {
    /// Starts to ask a Service at its own address, once it answers at all.
    pub(super) async fn start(stage: &Stage, namespace: &str, service: &str) -> Result<Self> {
        let object = stage.get(namespace, &services(), service).await?;
        let address = text(&object, "/spec/clusterIP");
        ensure!(!address.is_empty(), "Service {service} has no address");
        let url = format!("http://{address}/");
        // A connection that is kept would stay with its pod, whatever the Service selects.
        let client = reqwest::Client::builder()
            .pool_max_idle_per_host(0)
            .timeout(Duration::from_secs(2))
            .build()
            .context("no HTTP client")?;
        eventually(
            &format!("an answer of Service {service}"),
            Duration::from_secs(15),
            || async {
                let version = ask(&client, &url).await;
                ensure!(version.is_some(), "it does not answer");
                Ok(())
            },
        )
        .await?;
        let answers = Arc::new(Mutex::new(Answers::new()));
        let sink = answers.clone();
        let task = tokio::spawn(async move {
            loop {
                let version = ask(&client, &url)
                    .await
                    .unwrap_or_else(|| "none".to_owned());
                note(&sink, version);
                tokio::time::sleep(EVERY).await;
            }
        });
        Ok(Self { answers, task })
    }

    /// What answered since the last time this was asked.
    pub(super) fn answers(&self) -> Answers {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut answers)
    }

    /// Fails unless this version alone has answered since the last time, and at least once.
    pub(super) fn only(&self, version: &str) -> Result<()> {
        let answers = self.answers();
        ensure!(
            answers.len() == 1 && answers.contains_key(version),
            "not {version} alone has answered: {answers:?}"
        );
        Ok(())
    }

    /// Waits until this version alone answers; fails at once when a request gets no answer meanwhile.
    pub(super) async fn turns_to(&self, version: &str) -> Result<()> {
        self.until_only(version, false).await
    }

    /// The same for a Service that may have no pod for a while.
    pub(super) async fn reaches(&self, version: &str) -> Result<()> {
        self.until_only(version, true).await
    }

    async fn until_only(&self, version: &str, gap: bool) -> Result<()> {
        let began = Instant::now();
        loop {
            tokio::time::sleep(EVERY * 15).await;
            let answers = self.answers();
            ensure!(
                gap || !answers.contains_key("none"),
                "requests were lost while the Service turned to {version}: {answers:?}"
            );
            if answers.len() == 1 && answers.contains_key(version) {
                return Ok(());
            }
            ensure!(
                began.elapsed() < Duration::from_secs(20),
                "the Service does not turn to {version}: {answers:?}"
            );
        }
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn note(answers: &Mutex<Answers>, version: String) {
    let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
    *answers.entry(version).or_default() += 1;
}

async fn ask(client: &reqwest::Client, url: &str) -> Option<String> {
    let answer = client.get(url).send().await.ok()?;
    if !answer.status().is_success() {
        return None;
    }
    let version = answer.headers().get("x-version")?;
    Some(version.to_str().ok()?.to_owned())
}
