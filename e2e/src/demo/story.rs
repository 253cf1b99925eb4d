//! The story: v1 is deployed, v2 arrives step by step, v3 fails and is sent back, v4 mends it.
//!
//! Each chapter pushes to Git and then only watches, until what was promised has happened or its time is over.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use futures::StreamExt;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, WatchEvent, WatchParams};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::load::{Counts, Load, sum};
use super::panel::{State, panel};
use super::screen::{INDENT, Line, Terminal, Tone};
use super::stage::{NAMESPACE, SYSTEM, Stage, kind, number, text};

/// Width of the picture, in characters.
const COLUMNS: usize = 100;
/// Requests a second that the users send.
const RATE: u32 = 100;

const ROLLOUT: &str = include_str!("../../../examples/demo/rollout.yaml");
const SERVICES: &str = include_str!("../../../examples/demo/services.yaml");
const ROUTE: &str = include_str!("../../../examples/demo/route.yaml");
const ANALYSIS: &str = include_str!("../../../examples/demo/analysis.yaml");
const APPLICATION: &str = include_str!("../../../examples/demo/application.yaml");

/// What one chapter came to.
#[derive(Debug, Clone)]
pub struct Chapter {
    /// What happened.
    pub title: String,
    /// How it ended.
    pub outcome: String,
    /// How long it took.
    pub took: Duration,
    /// Requests of users, by version.
    pub counts: Counts,
}

/// Everything that the story showed and measured.
#[derive(Debug, Clone)]
pub struct Told {
    /// The chapters.
    pub chapters: Vec<Chapter>,
    /// The screen at the moment of the abort: title, lines.
    pub picture: Vec<Line>,
}

/// Plays the story.
///
/// # Errors
/// When something that was promised does not happen in its time; the message says what was waited for and what was seen.
pub async fn play(stage: &Stage, terminal: &mut Terminal) -> Result<Told> {
    let (sender, events) = mpsc::channel(256);
    let watcher = tokio::spawn(watch_events(stage.client.clone(), sender));
    let mut teller = Teller {
        stage,
        terminal,
        state: State::default(),
        began: Instant::now(),
        load: None,
        events,
        shown: Vec::new(),
        chapters: Vec::new(),
        picture: Vec::new(),
        before: Counts::new(),
    };
    let told = teller.tell().await;
    watcher.abort();
    told?;
    Ok(Told {
        chapters: teller.chapters,
        picture: teller.picture,
    })
}

struct Teller<'a> {
    stage: &'a Stage,
    terminal: &'a mut Terminal,
    state: State,
    began: Instant,
    load: Option<Load>,
    events: mpsc::Receiver<Value>,
    shown: Vec<Line>,
    chapters: Vec<Chapter>,
    picture: Vec<Line>,
    before: Counts,
}

impl Teller<'_> {
    async fn tell(&mut self) -> Result<()> {
        self.first_version().await?;
        self.second_version().await?;
        self.bad_version().await?;
        self.fix().await?;
        if let Some(load) = &self.load {
            self.state.total = load.stop().await;
        }
        Ok(())
    }

    async fn first_version(&mut self) -> Result<()> {
        let began = self.chapter("v1 is pushed to Git, and an Application points at it");
        let files = [
            ("web/rollout.yaml", ROLLOUT.to_owned()),
            ("web/services.yaml", SERVICES.to_owned()),
            ("web/route.yaml", ROUTE.to_owned()),
            (
                "web/analysis.yaml",
                ANALYSIS.replace("http://10.240.0.1:9090", &self.stage.prometheus),
            ),
        ];
        self.push("web: v1", &files).await?;
        let url = &self.stage.repository.url;
        let application = APPLICATION.replace("http://10.240.0.1:8090/demo.git", url);
        self.apply_application(&application).await?;
        self.until("v1 is healthy", 120, |state, _| {
            state.phase == "Healthy" && state.stable == "v1" && state.health == "Healthy"
        })
        .await?;
        // Users come when the router answers: a service that nobody can reach yet has no failed requests to count.
        let client = reqwest::Client::new();
        let url = format!("http://{}/", self.stage.entry);
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let answer = client
                .get(&url)
                .header("Host", "web.demo.local")
                .send()
                .await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                break;
            }
            ensure!(
                Instant::now() < deadline,
                "the router does not answer for web.demo.local at {url}"
            );
            self.tick().await?;
        }
        let hour = Duration::from_secs(1800);
        self.load = Some(Load::start(self.stage.entry, "web.demo.local", RATE, hour)?);
        self.end(
            began,
            "v1 is pushed, Sluice deploys it",
            "5 pods, all traffic on v1",
        )
    }

    async fn second_version(&mut self) -> Result<()> {
        let began = self.chapter("v2 is pushed: 10 %, a pause with analysis, 50 %, all");
        self.push("web: v2", &[("web/rollout.yaml", rollout("v2"))])
            .await?;
        self.until("v2 gets 10 % of the traffic", 90, |state, _| {
            state.canary == "v2" && state.wanted == 10
        })
        .await?;
        self.until("v2 gets 50 % of the traffic", 90, |state, _| {
            state.wanted == 50
        })
        .await?;
        self.until("v2 is promoted", 120, |state, _| {
            state.phase == "Healthy" && state.stable == "v2" && state.health == "Healthy"
        })
        .await?;
        self.end(
            began,
            "v2 is pushed, a good version",
            "10 % → 50 % → 100 %, promoted",
        )
    }

    async fn bad_version(&mut self) -> Result<()> {
        let began = self.chapter("v3 is pushed, and fails 20 % of its requests");
        self.push("web: v3", &[("web/rollout.yaml", rollout("v3"))])
            .await?;
        self.until("v3 gets 10 % of the traffic", 90, |state, _| {
            state.canary == "v3" && state.wanted == 10
        })
        .await?;
        self.until("the analysis sends v3 back", 90, |state, rollout| {
            state.wanted == 0 && rollout.pointer("/status/abort") == Some(&json!(true))
        })
        .await?;
        self.until("v3 is quarantined", 60, |state, _| {
            state.quarantine.is_some()
        })
        .await?;
        let evidence = self.evidence().await?;
        self.say(Tone::Bad, &evidence);
        self.picture = self.screen();

        // Nothing may try v3 again: not two more reconciliations, and not a commit that changes nothing in the rendering.
        let revision = text(&self.stage.rollout().await?, "/status/currentPodHash");
        for round in 1..=2 {
            self.refresh(&format!("reconciliation {round} after the abort"))
                .await?;
        }
        self.push("README: say hello", &[("README.md", "Hello.\n".to_owned())])
            .await?;
        self.refresh("reconciliation after an unrelated commit")
            .await?;
        let rollout = self.stage.rollout().await?;
        ensure!(
            rollout.pointer("/status/abort") == Some(&json!(true))
                && text(&rollout, "/status/currentPodHash") == revision
                && self.state.wanted == 0,
            "v3 was tried again: {}",
            rollout["status"]
        );
        self.say(
            Tone::Good,
            "v3 was not tried again: Git's head still holds it, the route stays at 0 %",
        );
        self.end(
            began,
            "v3 is pushed, it fails 20 % of its requests",
            "aborted at 10 %, quarantined",
        )
    }

    /// What was measured, what it had to be, and how often it was not.
    async fn evidence(&self) -> Result<String> {
        let runs = kind("argoproj.io", "v1alpha1", "AnalysisRun", "analysisruns");
        let runs = self.stage.api(NAMESPACE, &runs);
        for run in runs.list(&ListParams::default()).await? {
            let run = serde_json::to_value(run)?;
            if text(&run, "/status/phase") != "Failed" {
                continue;
            }
            let metric = "/status/metricResults/0";
            let value = run.pointer(&format!("{metric}/measurements"));
            let value = value.and_then(Value::as_array).and_then(|all| all.last());
            return Ok(format!(
                "Evidence: {name} was {value}, and must be {condition}; failed {failed}, allowed {allowed}",
                name = text(&run, &format!("{metric}/name")),
                value = value.map(|last| text(last, "/value")).unwrap_or_default(),
                condition = text(&run, "/spec/metrics/0/successCondition"),
                failed = number(&run, &format!("{metric}/failed")),
                allowed = number(&run, "/spec/metrics/0/failureLimit"),
            ));
        }
        bail!("no AnalysisRun says Failed, though the update was aborted")
    }

    async fn fix(&mut self) -> Result<()> {
        let began = self.chapter("v4 is pushed, the fix");
        self.push("web: v4", &[("web/rollout.yaml", rollout("v4"))])
            .await?;
        self.until("v4 is promoted", 180, |state, _| {
            state.phase == "Healthy" && state.stable == "v4" && state.health == "Healthy"
        })
        .await?;
        ensure!(
            self.state.quarantine.is_none(),
            "the quarantine was not lifted by the fix"
        );
        self.end(
            began,
            "v4 is pushed, the fix",
            "10 % → 50 % → 100 %, promoted",
        )
    }

    /// Pushes, and tells Sluice as a Git server does.
    async fn push(&mut self, subject: &str, files: &[(&str, String)]) -> Result<()> {
        let files: Vec<(&str, Option<&str>)> = files
            .iter()
            .map(|(path, text)| (*path, Some(text.as_str())))
            .collect();
        let sha = self.stage.repository.push(subject, &files).await?;
        let short: String = sha.chars().take(7).collect();
        self.state.git = format!("{short} {subject}");
        self.say(Tone::Strong, &format!("git push: {short} {subject}"));
        if let Some(webhook) = &self.stage.webhook {
            let payload = json!({
                "ref": "refs/heads/main",
                "after": sha,
                "repository": {
                    "clone_url": self.stage.repository.url,
                    "html_url": self.stage.repository.url,
                    "default_branch": "main"
                },
                "commits": [{ "modified": ["web/rollout.yaml"], "added": [], "removed": [] }]
            });
            // A webhook that is lost costs time, not correctness: the next poll finds the commit.
            let answer = reqwest::Client::new()
                .post(webhook)
                .header("X-GitHub-Event", "push")
                .timeout(Duration::from_secs(5))
                .json(&payload)
                .send()
                .await;
            if let Err(error) = answer.and_then(reqwest::Response::error_for_status) {
                self.say(
                    Tone::Dim,
                    &format!("webhook not delivered, the poll will find it: {error}"),
                );
            }
        } else if self.stage.application().await?.is_object() {
            // From here no webhook can be sent into a cluster that is elsewhere: as `argocd app get --refresh` does.
            self.ask_for_refresh().await?;
        }
        Ok(())
    }

    async fn apply_application(&self, yaml: &str) -> Result<()> {
        let object: Value =
            serde_saphyr::from_str(yaml).context("examples/demo/application.yaml")?;
        let resource = kind("argoproj.io", "v1alpha1", "Application", "applications");
        self.stage
            .api(SYSTEM, &resource)
            .patch(
                "web",
                &PatchParams::apply("demo").force(),
                &Patch::Apply(&object),
            )
            .await
            .context("cannot apply the Application")?;
        Ok(())
    }

    async fn ask_for_refresh(&self) -> Result<()> {
        let resource = kind("argoproj.io", "v1alpha1", "Application", "applications");
        let annotation =
            json!({ "metadata": { "annotations": { "argocd.argoproj.io/refresh": "normal" } } });
        self.stage
            .api(SYSTEM, &resource)
            .patch("web", &PatchParams::default(), &Patch::Merge(&annotation))
            .await?;
        Ok(())
    }

    /// Asks for a refresh by annotation and waits until the controller has taken the annotation away.
    async fn refresh(&mut self, what: &str) -> Result<()> {
        self.ask_for_refresh().await?;
        let deadline = Instant::now() + Duration::from_secs(60);
        self.state.waiting_for = what.to_owned();
        loop {
            self.tick().await?;
            let application = self.stage.application().await?;
            if application
                .pointer("/metadata/annotations/argocd.argoproj.io~1refresh")
                .is_none()
            {
                self.say(Tone::Dim, what);
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "the Application was not refreshed within 60 s"
            );
        }
    }

    async fn until(
        &mut self,
        what: &str,
        seconds: u64,
        done: impl Fn(&State, &Value) -> bool,
    ) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(seconds);
        self.state.waiting_for = what.to_owned();
        loop {
            self.tick().await?;
            let rollout = self.stage.rollout().await?;
            if done(&self.state, &rollout) {
                return Ok(());
            }
            if Instant::now() > deadline {
                let application = self.stage.application().await?;
                bail!(
                    "waited {seconds} s for: {what}\n  Rollout: {}\n  Application: {}",
                    rollout["status"],
                    application["status"]
                );
            }
        }
    }

    /// Looks once, shows what is new, and draws the panel.
    async fn tick(&mut self) -> Result<()> {
        tokio::time::sleep(Duration::from_millis(250)).await;
        self.stage.look(&mut self.state).await?;
        if let Some(load) = &self.load {
            self.state.recent = load.recent(Duration::from_secs(10));
            self.state.total = load.total();
        }
        self.state.elapsed = self.began.elapsed();
        while let Ok(event) = self.events.try_recv() {
            let reason = text(&event, "/reason");
            let tone = match text(&event, "/type").as_str() {
                "Warning" => Tone::Bad,
                _ if reason.ends_with("NotCompleted") => Tone::Plain,
                _ if reason.ends_with("Completed") || reason.ends_with("Successful") => Tone::Good,
                _ => Tone::Plain,
            };
            let kind = text(&event, "/involvedObject/kind");
            self.say(tone, &format!("{kind}: {}", text(&event, "/message")));
        }
        let panel = panel(&self.state);
        self.terminal.refresh(&panel);
        Ok(())
    }

    fn chapter(&mut self, title: &str) -> Instant {
        self.before = self.state.total.clone();
        let line = Line::default().with(Tone::Strong, format!("\n{title}"));
        self.show(vec![
            Line::default(),
            Line(vec![super::screen::Span {
                text: line.plain().trim().to_owned(),
                tone: Tone::Strong,
            }]),
        ]);
        Instant::now()
    }

    fn end(&mut self, began: Instant, title: &str, outcome: &str) -> Result<()> {
        let mut counts = self.state.total.clone();
        for (version, before) in &self.before {
            if let Some(count) = counts.get_mut(version) {
                count.requests -= before.requests;
                count.failed -= before.failed;
            }
        }
        counts.retain(|_, count| count.requests > 0);
        self.chapters.push(Chapter {
            title: title.to_owned(),
            outcome: outcome.to_owned(),
            took: began.elapsed(),
            counts,
        });
        Ok(())
    }

    fn say(&mut self, tone: Tone, sentence: &str) {
        let seconds = self.began.elapsed().as_secs();
        let clock = format!("  {:02}:{:02}  ", seconds / 60, seconds % 60);
        self.show(vec![
            Line::default().with(Tone::Dim, clock).with(tone, sentence),
        ]);
    }

    fn show(&mut self, lines: Vec<Line>) {
        self.terminal.print(&lines, &panel(&self.state));
        self.shown.extend(lines);
    }

    /// The last lines and the panel, as a person sees them now.
    fn screen(&self) -> Vec<Line> {
        let from = self.shown.len().saturating_sub(16);
        self.shown
            .iter()
            .skip(from)
            .flat_map(|line| line.wrapped(COLUMNS, INDENT))
            .chain(panel(&self.state))
            .collect()
    }
}

fn rollout(version: &str) -> String {
    ROLLOUT.replace(
        "sluice.local/demo-app:v1",
        &format!("sluice.local/demo-app:{version}"),
    )
}

/// Sends every Event about a Rollout, an AnalysisRun or an Application that appears from now on.
async fn watch_events(client: kube::Client, sender: mpsc::Sender<Value>) {
    let api: Api<k8s_openapi::api::core::v1::Event> = Api::all(client);
    let Ok(mut version) = api
        .list(&ListParams::default().limit(1))
        .await
        .map(|list| list.metadata.resource_version.unwrap_or_default())
    else {
        return;
    };
    loop {
        let Ok(stream) = api.watch(&WatchParams::default(), &version).await else {
            return;
        };
        let mut stream = std::pin::pin!(stream);
        while let Some(Ok(event)) = stream.next().await {
            let (WatchEvent::Added(event) | WatchEvent::Modified(event)) = event else {
                continue;
            };
            version = event.metadata.resource_version.clone().unwrap_or_default();
            let ours = event.metadata.namespace.as_deref() == Some(NAMESPACE)
                || event.metadata.namespace.as_deref() == Some(SYSTEM);
            let kind = event.involved_object.kind.as_deref().unwrap_or_default();
            if ours && matches!(kind, "Rollout" | "AnalysisRun" | "Application") {
                let Ok(event) = serde_json::to_value(event) else {
                    continue;
                };
                if sender.send(event).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// The table at the end.
#[must_use]
pub fn summary(told: &Told) -> Vec<Line> {
    let mut lines = vec![
        Line::default(),
        Line::default()
            .column(Tone::Dim, "  What happened", 47)
            .column(Tone::Dim, "how it ended", 31)
            .column(Tone::Dim, "time", 6)
            .with(Tone::Dim, "failed requests"),
    ];
    let mut all = super::load::Count::default();
    for chapter in &told.chapters {
        let count = sum(&chapter.counts);
        all.requests += count.requests;
        all.failed += count.failed;
        lines.push(
            Line::default()
                .column(Tone::Plain, format!("  {}", chapter.title), 47)
                .column(Tone::Good, chapter.outcome.clone(), 31)
                .column(Tone::Plain, format!("{} s", chapter.took.as_secs()), 6)
                .with(
                    if count.failed == 0 {
                        Tone::Good
                    } else {
                        Tone::New
                    },
                    format!("{} of {}", count.failed, count.requests),
                ),
        );
    }
    lines.push(
        Line::default()
            .column(Tone::Strong, "  The whole story", 84)
            .with(Tone::Strong, format!("{} of {}", all.failed, all.requests)),
    );
    lines
}

/// Takes away what an earlier demo left: the Application first, so that nothing brings the rest back.
///
/// # Errors
/// When the API server refuses, or the namespace is not gone in time.
pub async fn clean(client: &kube::Client) -> Result<()> {
    let resource = kind("argoproj.io", "v1alpha1", "Application", "applications");
    let applications: Api<kube::api::DynamicObject> =
        Api::namespaced_with(client.clone(), SYSTEM, &resource);
    ignore_absent(applications.delete("web", &DeleteParams::default()).await)?;
    let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(client.clone());
    ignore_absent(namespaces.delete(NAMESPACE, &DeleteParams::default()).await)?;
    crate::wait::eventually(
        "the namespace of an earlier demo to go",
        Duration::from_secs(90),
        || async {
            ensure!(
                namespaces.get_opt(NAMESPACE).await?.is_none(),
                "it is still there"
            );
            Ok(())
        },
    )
    .await
}

fn ignore_absent<T>(outcome: kube::Result<T>) -> Result<()> {
    match outcome {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(error.into()),
    }
}
