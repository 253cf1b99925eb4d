//! Observe: everything that a decision about one Application looks at.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sluice_crds::app_project::AppProject;
use sluice_crds::application::Application;
use sluice_gitops::application::{AppWorld, Head, RenderRequest, Rendering, Settings};
use sluice_gitops::compare::LiveState;
use sluice_gitops::key::Key as ObjectKey;
use sluice_gitops::manifest::{self, Placement, Targets};
use sluice_gitops::tracking;

use super::Applications;
use super::catalog::Known;
use super::git::{Failure, Snapshot, warnings};
use super::live::{self, Live, Unreadable};
use super::memory::Asked;
use sluice_runtime::Key;

/// What was seen, owned.
pub(crate) struct Observed {
    app: Arc<Application>,
    project: Option<Arc<AppProject>>,
    head: Head,
    looked: bool,
    renderings: Vec<(RenderRequest, Result<Rendering, String>)>,
    live: LiveState,
    placement: Placement,
    settings: Settings,
}

impl Observed {
    /// Calls `decide` with the view.
    pub(crate) fn with_world<T>(&self, decide: impl FnOnce(&AppWorld<'_>) -> T) -> T {
        decide(&AppWorld {
            app: &self.app,
            project: self.project.as_deref(),
            head: &self.head,
            looked: self.looked,
            renderings: &self.renderings,
            live: &self.live,
            placement: &self.placement,
            settings: &self.settings,
        })
    }

    /// The Application that was seen.
    pub(crate) fn app(&self) -> &Application {
        &self.app
    }

    /// The cluster that was seen.
    pub(crate) fn live(&self) -> &LiveState {
        &self.live
    }
}

/// What the memory of an Application holds when it is observed.
struct Remembered {
    head: Option<Arc<Snapshot>>,
    failure: Option<Failure>,
    looked: bool,
    others: Vec<(RenderRequest, Result<Arc<Snapshot>, String>)>,
}

/// One rendering on its way from text to predictions.
struct Draft {
    snapshot: Arc<Snapshot>,
    targets: Result<Targets, String>,
}

/// Looks at everything. The catalog is read again if a kind is missing in it.
pub(crate) async fn observe(
    loop_: &Applications,
    key: &Key,
    app: &Arc<Application>,
    project: Option<Arc<AppProject>>,
) -> anyhow::Result<Result<Observed, Unreadable>> {
    let remembered = loop_.memories.with(key, |memory| Remembered {
        head: memory
            .head
            .clone()
            .filter(|head| head.sources == app.spec.sources()),
        failure: memory
            .failure
            .clone()
            .filter(|_| memory.refresh.sources == app.spec.sources()),
        // A look that began before it was asked for is no answer.
        looked: memory.looked && memory.answered.refresh == Asked::of(app).refresh,
        others: memory.others.clone(),
    });
    let control = &loop_.ctx.own_namespace;
    let placement = Placement {
        app: tracking::app_name(&key.namespace, &key.name, control),
        namespace: app.spec.destination.namespace().to_owned(),
    };
    let mut snapshots: Vec<Arc<Snapshot>> = remembered.head.iter().cloned().collect();
    for (_, other) in &remembered.others {
        snapshots.extend(other.iter().cloned());
    }
    let parsed: Vec<Vec<serde_json::Value>> = snapshots
        .iter()
        .map(|snapshot| snapshot.objects())
        .collect();
    let kinds = live::known_kinds(app.status.as_ref());
    let unknown = |known: &Known| {
        let in_renderings = parsed.iter().flatten().any(|object| {
            let api_version = sluice_gitops::key::text(object, "/apiVersion");
            let kind = sluice_gitops::key::text(object, "/kind");
            !kind.ends_with("List") && known.kind(api_version, kind).is_none()
        });
        in_renderings || kinds.iter().any(|kind| known.preferred(kind).is_none())
    };
    let known = loop_.catalog.with(unknown).await?;
    let mut drafts: Vec<Draft> = snapshots
        .into_iter()
        .zip(&parsed)
        .map(|(snapshot, objects)| {
            let mut targets = manifest::targets(objects, &placement, &known.scope)
                .map_err(|error| error.to_string());
            if let Ok(targets) = &mut targets {
                manifest::add_namespace(targets, app);
            }
            Draft { snapshot, targets }
        })
        .collect();
    let mut named: BTreeSet<ObjectKey> = drafts
        .iter()
        .filter_map(|draft| draft.targets.as_ref().ok())
        .flat_map(|targets| targets.objects.iter().map(|target| target.key.clone()))
        .filter(|key| !key.name.is_empty())
        .collect();
    named.extend(live::known_objects(app.status.as_ref()));
    named.extend(live::destination_namespace(app));
    named.extend(hooks_of(app));
    loop_.watches.index.set_targets(key, named.clone());
    let reader = Live {
        ctx: &loop_.ctx,
        executor: &loop_.executor,
        watches: &loop_.watches,
        memories: &loop_.memories,
        known: &known,
        app: key,
    };
    let live = match reader.state(&placement.app, named, kinds).await {
        Ok(live) => live,
        Err(unreadable) => return Ok(Err(unreadable)),
    };
    let mut renderings = Vec::new();
    for draft in &mut drafts {
        renderings.push(complete(&reader, draft, &live).await);
    }
    let mut renderings = renderings.into_iter();
    let head_rendering = remembered.head.as_ref().and_then(|_| renderings.next());
    let head = head(remembered.failure, head_rendering);
    let mut others = Vec::new();
    for (request, result) in remembered.others {
        let rendering = match result {
            Ok(_) => renderings
                .next()
                .unwrap_or_else(|| Err("it was dropped".to_owned())),
            Err(message) => Err(message),
        };
        others.push((request, rendering));
    }
    Ok(Ok(Observed {
        app: Arc::clone(app),
        project,
        head,
        looked: remembered.looked,
        renderings: others,
        live,
        placement,
        settings: Settings {
            control_namespace: control.clone(),
        },
    }))
}

/// Hooks with generated names that a running sync has made: they are no targets by name.
fn hooks_of(app: &Application) -> BTreeSet<ObjectKey> {
    let results = app
        .status
        .as_ref()
        .and_then(|status| status.operation_state.as_ref())
        .and_then(|state| state.sync_result.as_ref())
        .and_then(|result| result.resources.as_deref())
        .unwrap_or(&[]);
    results
        .iter()
        .filter(|result| result.hook_type.is_some())
        .map(|result| ObjectKey::new(&result.group, &result.kind, &result.namespace, &result.name))
        .collect()
}

/// Copies what Rollouts drive into the targets, and asks for predictions.
async fn complete(
    reader: &Live<'_>,
    draft: &mut Draft,
    live: &LiveState,
) -> Result<Rendering, String> {
    let targets = draft.targets.as_mut().map_err(|message| message.clone())?;
    let rollouts = reader.rollouts(targets);
    let rollouts: Vec<_> = rollouts.iter().collect();
    if !rollouts.is_empty() {
        for target in &mut targets.objects {
            let Some(live) = live.objects.get(&target.key) else {
                continue;
            };
            if sluice_traffic::controlled_by(live, &rollouts).is_some() {
                sluice_traffic::overlay_controlled(&mut target.object, live, &rollouts);
                target.fenced = true;
            }
        }
    }
    targets.warnings.extend(warnings(&draft.snapshot));
    let predictions = reader.predict(targets, live).await;
    Ok(Rendering {
        sources: draft.snapshot.sources.clone(),
        revisions: draft.snapshot.revisions.clone(),
        source_types: draft.snapshot.source_types.clone(),
        targets: targets.clone(),
        predictions: BTreeMap::from_iter(predictions),
    })
}

fn head(failure: Option<Failure>, rendering: Option<Result<Rendering, String>>) -> Head {
    match (failure, rendering) {
        (None, Some(Ok(rendering))) => Head::Rendered(Box::new(rendering)),
        (Some(failure), rendering) => Head::Failed {
            message: failure.message,
            transient: failure.transient,
            last: rendering.and_then(Result::ok).map(Box::new),
        },
        (None, Some(Err(message))) => Head::Failed {
            message,
            transient: false,
            last: None,
        },
        (None, None) => Head::Pending,
    }
}
