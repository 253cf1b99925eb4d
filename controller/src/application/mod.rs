//! The sync loop: for each Application observe → decide → act.
//!
//! | step | file |
//! |---|---|
//! | what wakes it | [`watches`], [`webhook`], and the clock |
//! | looking at Git, apart from the loop | [`git`], into [`memory`] |
//! | observe: Git and cluster → `AppWorld` | [`observe`], with [`live`] and [`catalog`] |
//! | decide | `sluice_gitops::application::decide`, pure |
//! | act: effects, one patch, events | [`act`] |
//! | an Application that cannot be decoded | [`malformed`] |
//! | what is shown about it | [`describe`] (decision log), [`info`] (metrics) |
//!
//! One Application is worked on by one worker at a time. Git is looked at in tasks of their own, which wake the
//! Application when they end, so a slow server holds no worker. What is remembered may be lost at any time.

mod act;
mod catalog;
mod describe;
mod git;
mod info;
mod live;
mod malformed;
mod memory;
mod observe;
mod settings;
mod watches;
mod webhook;

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures::FutureExt;
use sluice_crds::app_project::AppProject;
use sluice_crds::application::Application;
use sluice_crds::names::{self, GITOPS_FIELD_MANAGER};
use sluice_gitops::application::{AppPlan, RenderRequest};
use sluice_gitops::project;
use sluice_gitops::refresh::{self, Level};
use sluice_gitops_sources::Sources;
use sluice_runtime::decision_log::Decision;
use sluice_runtime::freshness::{Freshness, Gate};
use sluice_runtime::{Context, Executor, Key, Next, Object, Queue, WriteError};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use catalog::Catalog;
use git::{Git, Look};
use info::Info;
use memory::{Asked, Memories};
pub use settings::Settings;
use watches::Watches;
use webhook::Webhooks;

/// Kind under which decisions are logged.
const KIND: &str = "Application";
/// Shortest wait before a decision that asks for a moment that has come already.
const SHORTEST_WAIT: Duration = Duration::from_millis(5);
/// Somebody else wrote: what they wrote is on its way through the watch.
const NOT_YET: Duration = Duration::from_millis(50);
/// A look that failed in between is not repeated sooner.
const AGAIN: Duration = Duration::from_secs(3);

/// The loop.
pub struct Applications {
    ctx: Context,
    /// Writes to managed objects, as field manager `argocd-controller`.
    executor: Executor,
    queue: Queue<Key>,
    watches: Watches,
    catalog: Catalog,
    memories: Memories,
    freshness: Freshness,
    info: Arc<Info>,
    settings: Settings,
    git: Git,
    looks: TaskTracker,
}

impl Applications {
    /// Starts the caches that the loop needs, and takes the folder of the source cache.
    ///
    /// # Errors
    /// When that folder cannot be made, or another process has it.
    pub fn start(ctx: &Context, settings: &Settings) -> anyhow::Result<Arc<Self>> {
        let queue = Queue::new("app_reconciliation_queue");
        let watches = Watches::start(&ctx.caches, &queue, &ctx.own_namespace);
        let config = settings.sources();
        let folder = config.cache_dir.clone();
        let sources = Sources::new(config).with_context(|| {
            format!("source cache {}; set --source-cache-dir", folder.display())
        })?;
        let info = Arc::new(Info::default());
        info::register(&ctx.metrics, &watches.applications, &info);
        Ok(Arc::new(Self {
            executor: ctx.executor.with_manager(GITOPS_FIELD_MANAGER),
            git: Git {
                sources: Arc::new(sources),
                secrets: Arc::clone(&watches.secrets),
                config_maps: Arc::clone(&watches.config_maps),
                control_namespace: ctx.own_namespace.as_str().into(),
            },
            ctx: ctx.clone(),
            queue,
            watches,
            catalog: Catalog::new(ctx.api.clone()),
            memories: Memories::default(),
            freshness: Freshness::default(),
            info,
            settings: settings.clone(),
            looks: TaskTracker::new(),
        }))
    }

    /// Opens the port for webhooks; the future serves it until `end`. Every process does, the leader or not.
    ///
    /// # Errors
    /// When the port cannot be opened.
    pub async fn webhooks(
        &self,
        address: SocketAddr,
        end: CancellationToken,
    ) -> std::io::Result<(SocketAddr, impl Future<Output = ()> + Send + use<>)> {
        Webhooks::new(&self.ctx, &self.watches)
            .serve(address, end)
            .await
    }

    /// Works on Applications until the context's `stop`, then finishes what is under way.
    pub async fn run(self: Arc<Self>) {
        let this = Arc::clone(&self);
        self.queue
            .run(
                self.settings.application_threads,
                self.ctx.stop.clone(),
                move |key| {
                    let this = Arc::clone(&this);
                    async move { this.reconcile(&key).await }
                },
            )
            .await;
    }

    async fn reconcile(self: &Arc<Self>, key: &Key) -> Next {
        let Some(object) = self.watches.applications.get(key) else {
            self.forget(key);
            return Next::Done;
        };
        if let Gate::Stale(wait) = self.freshness.check(&self.ctx.api, key).await {
            return Next::After(wait);
        }
        // The gate may have read the object anew.
        let object = self.watches.applications.get(key).unwrap_or(object);
        let app: Arc<Application> = match object.decode() {
            Ok(app) => Arc::new(app),
            Err(error) => return malformed::report(self, &object, &error).await,
        };
        let project = match self.project(app.spec.project()) {
            Ok(project) => project,
            Err(message) => {
                tracing::warn!(application = %key, message, "stopped");
                return Next::After(AGAIN);
            }
        };
        let started = Instant::now();
        let next = self.pass(&object, &app, project).await;
        self.info.reconciled(&app, started.elapsed());
        next.unwrap_or_else(|error| {
            tracing::warn!(application = %key, error = format!("{error:#}"), "stopped");
            Next::Retry
        })
    }

    /// One pass: look at Git if it is time, observe, decide, act.
    async fn pass(
        self: &Arc<Self>,
        object: &Arc<Object>,
        app: &Arc<Application>,
        project: Option<Arc<AppProject>>,
    ) -> anyhow::Result<Next> {
        let key = &object.key;
        let now = self.ctx.clock.now();
        let interval = self.settings.interval();
        let annotations = app.metadata.annotations.as_ref();
        let skipped = annotations.and_then(|map| map.get(names::SKIP_RECONCILE));
        if skipped.is_some_and(|value| value == "true") {
            return Ok(Next::Done);
        }
        // Git is of no interest to what is going away, and repositories that are not permitted are not even asked.
        let wanted = app.metadata.deletion_timestamp.is_none()
            && !app.spec.sources().is_empty()
            && self.permits(app, project.as_deref());
        if wanted {
            let asked = Asked::of(app);
            let (level, answered) = self.memories.with(key, |memory| {
                // What is no longer asked for can be asked for anew.
                if asked.refresh.is_none() {
                    memory.answered.refresh = None;
                }
                if asked.operation.is_none() {
                    memory.answered.operation = None;
                }
                let open = unanswered(app, &asked, &memory.answered);
                (
                    refresh::level(&open, &memory.refresh, interval, now),
                    memory.answered.clone(),
                )
            });
            if level >= Level::Latest {
                self.look(key, app, project.clone(), level).await?;
            }
            if asked.operation.is_some() && asked.operation != answered.operation {
                // The newest revision is wanted; the look under way wakes the Application.
                return Ok(Next::Done);
            }
        }
        let observed = match observe::observe(self, key, app, project.clone()).await? {
            Ok(observed) => observed,
            Err(unreadable) => anyhow::bail!("the cluster could not be read: {}", unreadable.0),
        };
        let plan = observed
            .with_world(|world| sluice_gitops::application::decide(world, self.ctx.clock.now()));
        if !plan.needs.is_empty() {
            let mut waits = false;
            for request in plan.needs {
                // The head is looked at by its own clock.
                if !request.revisions.is_empty() {
                    self.fetch(key, app, project.clone(), request).await?;
                    waits = true;
                }
            }
            let due = self
                .memories
                .with(key, |memory| refresh::next(app, &memory.refresh, interval));
            return Ok(match due {
                Some(due) if !waits => Next::After(self.ctx.clock.until(due).max(SHORTEST_WAIT)),
                // The task that looks wakes the Application.
                _ => Next::Done,
            });
        }
        let reasons: Vec<String> = plan.reasons.iter().map(ToString::to_string).collect();
        let effects: Vec<String> = plan.effects.iter().map(describe::effect).collect();
        let outcome = act::act(self, &observed, object, plan).await;
        self.record(object, reasons, effects, outcome.as_ref());
        match outcome {
            Ok(plan) => {
                self.info.acted(app, &plan);
                Ok(self.settled(key, app, &plan))
            }
            Err(WriteError::Conflict(_) | WriteError::Gone(_)) => Ok(Next::After(NOT_YET)),
            Err(error) => Err(error.into()),
        }
    }

    /// Everything is written: when to look again.
    fn settled(&self, key: &Key, app: &Application, plan: &AppPlan) -> Next {
        let interval = self.settings.interval();
        let due = self.memories.with(key, |memory| {
            memory.looked = false;
            if plan.annotations.contains_key(names::REFRESH) {
                memory.answered.refresh = None;
            }
            refresh::next(app, &memory.refresh, interval)
        });
        let instants = plan.wake_at.into_iter().chain(due);
        match instants.min() {
            Some(at) => Next::After(self.ctx.clock.until(at).max(SHORTEST_WAIT)),
            None => Next::Done,
        }
    }

    /// The AppProject of a name; `None` when there is none.
    fn project(&self, name: &str) -> Result<Option<Arc<AppProject>>, String> {
        let key = Key::new(&self.ctx.own_namespace, name);
        match self
            .watches
            .projects
            .get(&key)
            .map(|object| object.decode::<AppProject>())
        {
            None => Ok(None),
            Some(Ok(project)) => Ok(Some(Arc::new(project))),
            Some(Err(error)) => Err(format!("AppProject {name} cannot be read: {error}")),
        }
    }

    /// Whether the project lets the Application use its repositories: others are not even asked.
    fn permits(&self, app: &Application, project: Option<&AppProject>) -> bool {
        let implicit = project::implicit_default();
        let project = match project {
            Some(project) => project,
            None if app.spec.project() == "default" => &implicit,
            None => return false,
        };
        app.spec
            .sources()
            .iter()
            .all(|source| project::permits_repository(project, &source.repo_url))
    }

    /// Starts a look at the head, unless one is under way.
    async fn look(
        self: &Arc<Self>,
        key: &Key,
        app: &Arc<Application>,
        project: Option<Arc<AppProject>>,
        level: Level,
    ) -> anyhow::Result<()> {
        let begun = self
            .memories
            .with(key, |memory| !std::mem::replace(&mut memory.looking, true));
        if !begun {
            // The one under way may be too old for what is asked now.
            self.memories.with(key, |memory| {
                memory.refresh.requested = memory.refresh.requested.max(Some(level));
            });
            return Ok(());
        }
        let known = match self.catalog.with(|_| false).await {
            Ok(known) => known,
            Err(error) => {
                self.memories.with(key, |memory| memory.looking = false);
                return Err(error);
            }
        };
        let request = RenderRequest::head(app);
        let last = self.memories.with(key, |memory| {
            memory.refresh.requested = None;
            memory.asked = Asked::of(app);
            memory.head.clone()
        });
        let look = Look {
            app: Arc::clone(app),
            project: project.unwrap_or_else(|| Arc::new(project::implicit_default())),
            request: request.clone(),
            known,
            hard: level == Level::Hard,
            last,
        };
        let (this, key) = (Arc::clone(self), key.clone());
        self.spawn(key.clone(), async move {
            let result = this.git.look(look).await;
            let now = this.ctx.clock.now();
            this.memories.with(&key, |memory| {
                memory.looking = false;
                memory.looked = true;
                memory.answered = memory.asked.clone();
                memory.drop_failures();
                memory.refresh.asked_at = Some(now);
                memory.refresh.sources = request.sources;
                match result {
                    Ok(snapshot) => {
                        memory.refresh.failures = 0;
                        memory.failure = None;
                        memory.head = Some(snapshot);
                    }
                    Err(failure) => {
                        if memory.failure.as_ref() != Some(&failure) {
                            tracing::warn!(application = %key, message = failure.message, "no rendering");
                        }
                        memory.refresh.failures = memory.refresh.failures.saturating_add(1);
                        memory.failure = Some(failure);
                    }
                }
            });
        });
        Ok(())
    }

    /// Starts to render another revision, unless that is under way.
    async fn fetch(
        self: &Arc<Self>,
        key: &Key,
        app: &Arc<Application>,
        project: Option<Arc<AppProject>>,
        request: RenderRequest,
    ) -> anyhow::Result<()> {
        let begun = self.memories.with(key, |memory| {
            let begun = !memory.fetching.contains(&request);
            if begun {
                memory.fetching.push(request.clone());
            }
            begun
        });
        if !begun {
            return Ok(());
        }
        let known = match self.catalog.with(|_| false).await {
            Ok(known) => known,
            Err(error) => {
                self.memories.with(key, |memory| {
                    memory.fetching.retain(|other| *other != request)
                });
                return Err(error);
            }
        };
        let look = Look {
            app: Arc::clone(app),
            project: project.unwrap_or_else(|| Arc::new(project::implicit_default())),
            request: request.clone(),
            known,
            hard: false,
            last: None,
        };
        let (this, key) = (Arc::clone(self), key.clone());
        self.spawn(key.clone(), async move {
            let result = this.git.look(look).await;
            match result {
                Err(failure) if failure.transient => {
                    tracing::warn!(application = %key, message = failure.message, "no rendering");
                    tokio::time::sleep(AGAIN).await;
                    this.memories.with(&key, |memory| {
                        memory.fetching.retain(|other| *other != request)
                    });
                }
                result => {
                    let result = result.map_err(|failure| failure.message);
                    this.memories
                        .with(&key, |memory| memory.keep(request, result));
                }
            }
        });
        Ok(())
    }

    /// Runs a look beside the loop, and wakes the Application when it ends. `stop` drops it: nothing is lost.
    fn spawn(self: &Arc<Self>, key: Key, work: impl Future<Output = ()> + Send + 'static) {
        let (this, stop) = (Arc::clone(self), self.ctx.stop.clone());
        self.looks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                done = AssertUnwindSafe(work).catch_unwind() => {
                    if done.is_err() {
                        tracing::error!(application = %key, "a look at Git panicked; others go on");
                        this.memories.with(&key, |memory| {
                            memory.looking = false;
                            memory.fetching.clear();
                            memory.refresh.asked_at = Some(this.ctx.clock.now());
                            memory.refresh.failures = memory.refresh.failures.saturating_add(1);
                        });
                    }
                    this.queue.add(key);
                }
            }
        });
    }

    fn record(
        &self,
        object: &Object,
        reasons: Vec<String>,
        effects: Vec<String>,
        outcome: Result<&AppPlan, &WriteError>,
    ) {
        let decision = Decision {
            at: self.ctx.clock.now(),
            resource_version: object.resource_version.to_string(),
            reasons,
            effects,
            outcome: match &outcome {
                Ok(_) => "done".to_owned(),
                Err(error) => error.to_string(),
            },
            wake_at: outcome.ok().and_then(|plan| plan.wake_at),
        };
        let (key, reasons) = (&object.key, &decision.reasons);
        if decision.effects.is_empty() {
            tracing::debug!(application = %key, ?reasons, outcome = decision.outcome, "decided");
        } else {
            tracing::info!(application = %key, ?reasons, effects = ?decision.effects, outcome = decision.outcome, "decided");
        }
        self.ctx.decisions.record(KIND, key, decision);
    }

    /// Drops what is remembered of an Application that is gone.
    fn forget(&self, key: &Key) {
        self.freshness.forget(key);
        self.memories.forget(key);
        self.watches
            .index
            .set_targets(key, std::collections::BTreeSet::new());
        self.ctx.decisions.forget(KIND, key);
        self.info.forget(key);
    }
}

/// The Application without what the last look has answered already.
fn unanswered(app: &Application, asked: &Asked, answered: &Asked) -> Application {
    let mut open = app.clone();
    if asked.refresh == answered.refresh
        && let Some(annotations) = open.metadata.annotations.as_mut()
    {
        annotations.remove(names::REFRESH);
    }
    if asked.operation == answered.operation {
        open.operation = None;
    }
    open
}
