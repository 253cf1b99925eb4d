//! A cluster small enough for tests of pure code: it applies, deletes and predicts, and carries plans out.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use sluice_crds::app_project::AppProject;
use sluice_crds::application::Application;
use sluice_gitops::application::{
    AppEffect, AppPlan, AppWorld, EffectFailure, Head, OperationChange, Outcome, RenderRequest,
    Rendering, Settings, decide,
};
use sluice_gitops::compare::{LiveState, Prediction, PredictionError};
use sluice_gitops::key::{GroupKind, Key};
use sluice_gitops::manifest::{self, Placement};
use sluice_gitops::scope::Scope;

pub(crate) fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).expect("test text is YAML")
}

pub(crate) fn documents(text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).expect("test text is YAML")
}

pub(crate) fn scope() -> Scope {
    let namespaced = [
        ("", "ConfigMap"),
        ("", "Secret"),
        ("", "Service"),
        ("", "Pod"),
        ("apps", "Deployment"),
        ("batch", "Job"),
        ("argoproj.io", "Rollout"),
        ("argoproj.io", "Application"),
    ];
    let cluster = [
        ("", "Namespace"),
        ("rbac.authorization.k8s.io", "ClusterRole"),
        ("apiextensions.k8s.io", "CustomResourceDefinition"),
    ];
    Scope::new(
        namespaced
            .into_iter()
            .map(|(group, kind)| (GroupKind::new(group, kind), true))
            .chain(
                cluster
                    .into_iter()
                    .map(|(group, kind)| (GroupKind::new(group, kind), false)),
            ),
    )
}

pub(crate) fn placement() -> Placement {
    Placement {
        app: "web".to_owned(),
        namespace: "shop".to_owned(),
    }
}

pub(crate) fn application(sync_policy: &str) -> Application {
    let value = yaml(&format!(
        "{{metadata: {{name: web, namespace: argocd}}, spec: {{project: default, \
         source: {{repoURL: 'https://git.example.com/shop.git', path: web, targetRevision: main}}, \
         destination: {{server: 'https://kubernetes.default.svc', namespace: shop}}, \
         syncPolicy: {sync_policy}}}}}"
    ));
    serde_json::from_value(value).expect("test Application decodes")
}

/// Git, the cluster and the Application of a test.
pub(crate) struct Cluster {
    pub(crate) app: Application,
    pub(crate) project: Option<AppProject>,
    /// Manifests by commit.
    pub(crate) commits: BTreeMap<String, Vec<Value>>,
    pub(crate) head: String,
    /// Git does not answer.
    pub(crate) git_down: bool,
    pub(crate) objects: BTreeMap<Key, Value>,
    /// Applying these fails.
    pub(crate) refused: BTreeMap<Key, EffectFailure>,
    /// The dry run of these fails.
    pub(crate) rejected: BTreeMap<Key, PredictionError>,
    pub(crate) now: Timestamp,
    pub(crate) events: Vec<String>,
    /// Every effect that was carried out.
    pub(crate) log: Vec<String>,
    fetched: Vec<RenderRequest>,
    last: Option<Box<Rendering>>,
    version: u64,
    /// The Application's annotations and operation are written before its status can be; stop after so many effects.
    pub(crate) crash_after: Option<usize>,
}

impl Cluster {
    pub(crate) fn new(sync_policy: &str, manifests: &str) -> Self {
        let mut cluster = Self {
            app: application(sync_policy),
            project: None,
            commits: BTreeMap::new(),
            head: String::new(),
            git_down: false,
            objects: BTreeMap::new(),
            refused: BTreeMap::new(),
            rejected: BTreeMap::new(),
            now: "2026-01-01T00:00:00Z".parse().expect("time"),
            events: Vec::new(),
            log: Vec::new(),
            fetched: Vec::new(),
            last: None,
            version: 1,
            crash_after: None,
        };
        cluster.push("c1", manifests);
        cluster.put(yaml(
            "{apiVersion: v1, kind: Namespace, metadata: {name: shop}}",
        ));
        cluster
    }

    pub(crate) fn push(&mut self, commit: &str, manifests: &str) {
        self.commits.insert(commit.to_owned(), documents(manifests));
        self.head = commit.to_owned();
    }

    /// Somebody else writes an object.
    pub(crate) fn put(&mut self, mut object: Value) {
        let key = Key::of(&object);
        self.version += 1;
        object["metadata"]["uid"] = json!(format!("uid-{key}"));
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.objects.insert(key, object);
    }

    pub(crate) fn live(&self, kind: &str, name: &str) -> Option<&Value> {
        self.objects
            .iter()
            .find(|(key, _)| key.kind.kind == kind && key.name == name)
            .map(|(_, o)| o)
    }

    pub(crate) fn edit(&mut self, kind: &str, name: &str, change: impl FnOnce(&mut Value)) {
        let (key, mut object) = self
            .objects
            .iter()
            .find(|(key, _)| key.kind.kind == kind && key.name == name)
            .map(|(key, object)| (key.clone(), object.clone()))
            .expect("the object is there");
        change(&mut object);
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.objects.insert(key, object);
    }

    pub(crate) fn remove(&mut self, kind: &str, name: &str) {
        self.objects
            .retain(|key, _| !(key.kind.kind == kind && key.name == name));
    }

    fn predict(&self, key: &Key, target: &Value) -> Prediction {
        if let Some(error) = self.rejected.get(key) {
            return Err(error.clone());
        }
        let namespace = Key::new("", "Namespace", "", &key.namespace);
        if !key.namespace.is_empty() && !self.objects.contains_key(&namespace) {
            return Err(PredictionError::NoNamespace(format!(
                "namespaces \"{}\" not found",
                key.namespace
            )));
        }
        if scope().namespaced(&key.kind).is_none() && !self.objects.contains_key(key) {
            return Err(PredictionError::UnknownKind(format!(
                "no kind {}",
                key.kind
            )));
        }
        let mut object = self.objects.get(key).cloned().unwrap_or_else(|| json!({}));
        merge(&mut object, target);
        Ok(object)
    }

    fn render(&self, request: &RenderRequest) -> Result<Rendering, String> {
        let commit = request
            .revisions
            .first()
            .cloned()
            .unwrap_or_else(|| self.head.clone());
        let manifests = self
            .commits
            .get(&commit)
            .ok_or(format!("no commit {commit}"))?;
        let mut targets = manifest::targets(manifests, &placement(), &scope())
            .map_err(|error| error.to_string())?;
        manifest::add_namespace(&mut targets, &self.app);
        let predictions = targets
            .objects
            .iter()
            .filter(|target| target.hook.is_none())
            .map(|target| {
                (
                    target.key.clone(),
                    self.predict(&target.key, &target.object),
                )
            })
            .collect();
        Ok(Rendering {
            sources: request.sources.clone(),
            revisions: vec![commit],
            source_types: vec!["Directory".to_owned()],
            targets,
            predictions,
        })
    }

    fn git(&mut self) -> Head {
        if self.git_down {
            return Head::Failed {
                message: "repository cannot be reached".to_owned(),
                transient: true,
                last: self.last.clone(),
            };
        }
        match self.render(&RenderRequest::head(&self.app)) {
            Ok(rendering) => {
                self.last = Some(Box::new(rendering.clone()));
                Head::Rendered(Box::new(rendering))
            }
            Err(message) => Head::Failed {
                message,
                transient: false,
                last: self.last.clone(),
            },
        }
    }

    pub(crate) fn decide(&mut self) -> AppPlan {
        let head = self.git();
        let settings = Settings {
            control_namespace: "argocd".to_owned(),
        };
        loop {
            let renderings: Vec<_> = self
                .fetched
                .iter()
                .map(|request| (request.clone(), self.render(request)))
                .collect();
            let live = LiveState {
                objects: self.objects.clone(),
                scope: scope(),
            };
            let placement = placement();
            let plan = decide(
                &AppWorld {
                    app: &self.app,
                    project: self.project.as_ref(),
                    head: &head,
                    looked: true,
                    renderings: &renderings,
                    live: &live,
                    placement: &placement,
                    settings: &settings,
                },
                self.now,
            );
            if plan.needs.is_empty() {
                return plan;
            }
            assert!(
                !plan.needs.iter().any(|need| self.fetched.contains(need)),
                "asked twice"
            );
            self.fetched.extend(plan.needs);
        }
    }

    /// One turn of the loop. Returns whether anything was written.
    pub(crate) fn turn(&mut self) -> bool {
        let plan = self.decide();
        self.carry_out(plan)
    }

    pub(crate) fn carry_out(&mut self, plan: AppPlan) -> bool {
        if plan.is_noop(&self.app) {
            return false;
        }
        let mut outcomes = Vec::new();
        for effect in &plan.effects {
            if self.crash_after == Some(0) {
                // The process dies: nothing is written down.
                self.crash_after = None;
                return true;
            }
            if let Some(left) = self.crash_after.as_mut() {
                *left -= 1;
            }
            outcomes.push(self.effect(effect));
        }
        if self.crash_after == Some(0) {
            self.crash_after = None;
            return true;
        }
        let plan = plan.settle(&outcomes, self.now);
        self.app.status = Some(plan.status);
        match plan.operation {
            OperationChange::Keep => {}
            OperationChange::Clear => self.app.operation = None,
            OperationChange::Set(operation) => self.app.operation = Some(*operation),
        }
        let annotations = self.app.metadata.annotations.get_or_insert_default();
        for (name, value) in plan.annotations {
            match value {
                Some(value) => annotations.insert(name, value),
                None => annotations.remove(&name),
            };
        }
        if let Some(finalizers) = plan.finalizers {
            self.app.metadata.finalizers = Some(finalizers);
        }
        self.events.extend(
            plan.events
                .into_iter()
                .map(|event| format!("{}: {}", event.reason, event.message)),
        );

        true
    }

    fn effect(&mut self, effect: &AppEffect) -> Outcome {
        match effect {
            AppEffect::Apply(apply) => {
                if let Some(failure) = self.refused.get(&apply.key) {
                    return Err(failure.clone());
                }
                if apply.dry_run {
                    return Ok(());
                }
                let object =
                    self.predict(&apply.key, &apply.object)
                        .map_err(|error| EffectFailure {
                            message: error.message().to_owned(),
                            transient: false,
                        })?;
                self.log.push(format!("apply {}", apply.key.short()));
                let changed = self
                    .objects
                    .get(&apply.key)
                    .is_none_or(|old| old.get("spec") != object.get("spec"));
                let generation =
                    object["metadata"]["generation"].as_i64().unwrap_or(0) + i64::from(changed);
                let mut object = object;
                object["metadata"]["generation"] = json!(generation);
                self.put(object);
                Ok(())
            }
            AppEffect::Delete { key, .. } => {
                self.log.push(format!("delete {}", key.short()));
                self.objects.remove(key);
                Ok(())
            }
        }
    }

    /// Turns until nothing is written any more, with time passing when only time helps.
    pub(crate) fn settle(&mut self) {
        for _ in 0..60 {
            if !self.turn() {
                return;
            }
        }
        panic!("no fixpoint; events: {:#?}", self.events);
    }

    pub(crate) fn pass(&mut self, seconds: i64) {
        self.now = self
            .now
            .checked_add(SignedDuration::from_secs(seconds))
            .expect("time");
    }

    pub(crate) fn sync(&self) -> &str {
        self.status()
            .sync
            .as_ref()
            .map_or("", |sync| sync.status.as_str())
    }

    pub(crate) fn health(&self) -> &str {
        let health = self.status().health.as_ref();
        health
            .and_then(|health| health.status.as_deref())
            .unwrap_or("")
    }

    pub(crate) fn status(&self) -> &sluice_crds::application::ApplicationStatus {
        self.app.status.as_ref().expect("a status was written")
    }

    pub(crate) fn phase(&self) -> &str {
        self.status()
            .operation_state
            .as_ref()
            .map_or("", |state| state.phase.as_str())
    }

    pub(crate) fn message(&self) -> &str {
        self.status()
            .operation_state
            .as_ref()
            .and_then(|state| state.message.as_deref())
            .unwrap_or("")
    }

    pub(crate) fn conditions(&self) -> Vec<&str> {
        self.status()
            .conditions
            .iter()
            .flatten()
            .map(|condition| condition.kind.as_str())
            .collect()
    }

    pub(crate) fn condition(&self, kind: &str) -> Option<&str> {
        self.status()
            .conditions
            .iter()
            .flatten()
            .find(|condition| condition.kind == kind)
            .map(|condition| condition.message.as_str())
    }

    pub(crate) fn annotation(&self, name: &str) -> Option<&str> {
        self.app
            .metadata
            .annotations
            .as_ref()?
            .get(name)
            .map(String::as_str)
    }

    pub(crate) fn annotate(&mut self, name: &str, value: &str) {
        let annotations = self.app.metadata.annotations.get_or_insert_default();
        annotations.insert(name.to_owned(), value.to_owned());
    }
}

fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(
                    into.entry(key.clone())
                        .or_insert_with(|| Value::Object(Map::new())),
                    value,
                );
            }
        }
        (into, from) => *into = from.clone(),
    }
}
