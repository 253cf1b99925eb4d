//! What the sync loop watches, and which Applications a change wakes.
//!
//! Kinds that Applications manage are watched by metadata alone, cluster-wide, from the first Application that manages
//! one of them. An object wakes the Application that its tracking annotation names, and those that have a target of
//! its name.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value};
use sluice_crds::names;
use sluice_gitops::key::{GroupKind, Key as ObjectKey, annotation};
use sluice_gitops::tracking;
use sluice_runtime::cache::{Change, Subscriber};
use sluice_runtime::kind::{APP_PROJECT, APPLICATION, CONFIG_MAP, ROLLOUT, SECRET};
use sluice_runtime::watch::WatchOptions;
use sluice_runtime::{Cache, Caches, Key, Kind, Object, Queue};

/// Name under which the loop's caches are known.
const USAGE: &str = "gitops";
/// Name under which kinds are watched because Applications manage them.
const MANAGED: &str = "managed";
/// Changes that come this close together are looked at together.
const TOGETHER: Duration = Duration::from_millis(50);
/// Label on ConfigMaps that configure Argo CD.
const PART_OF: &str = "app.kubernetes.io/part-of=argocd";

/// The caches, and who is to be woken.
pub(crate) struct Watches {
    pub(crate) applications: Arc<Cache>,
    pub(crate) projects: Arc<Cache>,
    pub(crate) secrets: Arc<Cache>,
    pub(crate) config_maps: Arc<Cache>,
    pub(crate) rollouts: Arc<Cache>,
    pub(crate) index: Arc<Index>,
    caches: Caches,
    queue: Queue<Key>,
}

impl Watches {
    pub(crate) fn start(caches: &Caches, queue: &Queue<Key>, control_namespace: &str) -> Self {
        let index = Arc::new(Index::new(control_namespace));
        let own = |labels: &str| WatchOptions {
            namespace: Some(control_namespace.to_owned()),
            labels: Some(labels.to_owned()),
            ..WatchOptions::default()
        };
        let itself = queue.clone();
        let wake_itself: Subscriber =
            Box::new(move |change| itself.add(change.object().key.clone()));
        let applications = caches.start(
            &APPLICATION,
            USAGE,
            WatchOptions::default(),
            vec![wake_itself],
        );
        let in_control = WatchOptions {
            namespace: Some(control_namespace.to_owned()),
            ..WatchOptions::default()
        };
        let projects = caches.start(
            &APP_PROJECT,
            USAGE,
            in_control,
            vec![wake_all(queue, &applications)],
        );
        let credentials = own(names::SECRET_TYPE);
        let secrets = caches.start(
            &SECRET,
            USAGE,
            credentials,
            vec![wake_all(queue, &applications)],
        );
        let config_maps = caches.start(&CONFIG_MAP, USAGE, own(PART_OF), Vec::new());
        // The Rollout loop has them already, as a rule.
        let rollouts = caches
            .get(&ROLLOUT, "rollouts")
            .unwrap_or_else(|| caches.start(&ROLLOUT, USAGE, WatchOptions::default(), Vec::new()));
        Self {
            applications,
            projects,
            secrets,
            config_maps,
            rollouts,
            index,
            caches: caches.clone(),
            queue: queue.clone(),
        }
    }

    /// The metadata of a kind that Applications manage; the watch is started when the first one does.
    pub(crate) fn managed(&self, kind: &Kind) -> Arc<Cache> {
        let (index, queue) = (Arc::clone(&self.index), self.queue.clone());
        let group_kind = GroupKind::new(&kind.group, &kind.kind);
        let wake: Subscriber = Box::new(move |change| {
            for key in index.changed(&group_kind, change) {
                queue.add_after(&key, TOGETHER);
            }
        });
        let options = WatchOptions {
            metadata_only: true,
            projection: tracking_only,
            ..WatchOptions::default()
        };
        self.caches.start(kind, MANAGED, options, vec![wake])
    }
}

/// Wakes every Application.
fn wake_all(queue: &Queue<Key>, applications: &Arc<Cache>) -> Subscriber {
    let (queue, applications) = (queue.clone(), Arc::clone(applications));
    Box::new(move |_| {
        for object in applications.all() {
            queue.add_after(&object.key, TOGETHER);
        }
    })
}

/// Keeps identity, generation, deletion and the tracking annotation.
fn tracking_only(value: &mut Value) {
    const KEPT: [&str; 6] = [
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "generation",
        "deletionTimestamp",
    ];
    let id = annotation(value, names::TRACKING_ID).map(str::to_owned);
    let Some(object) = value.as_object_mut() else {
        return;
    };
    object.retain(|key, _| key == "metadata");
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|key, _| KEPT.contains(&key.as_str()));
        if let Some(id) = id {
            let annotations = Map::from_iter([(names::TRACKING_ID.to_owned(), Value::String(id))]);
            metadata.insert("annotations".to_owned(), Value::Object(annotations));
        }
    }
}

/// Who owns which object, and who wants which.
pub(crate) struct Index {
    control_namespace: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Live objects by the Application that their annotation names.
    owned: HashMap<String, BTreeSet<ObjectKey>>,
    /// Applications by the objects that they have as targets.
    wanted: HashMap<ObjectKey, BTreeSet<Key>>,
    /// The targets of each Application, to take them out of `wanted` again.
    targets: HashMap<Key, BTreeSet<ObjectKey>>,
}

impl Index {
    fn new(control_namespace: &str) -> Self {
        Self {
            control_namespace: control_namespace.to_owned(),
            state: Mutex::default(),
        }
    }

    /// The live objects of an Application, by its tracking name.
    pub(crate) fn owned(&self, app: &str) -> BTreeSet<ObjectKey> {
        self.lock().owned.get(app).cloned().unwrap_or_default()
    }

    /// Says which objects an Application wants; none when it is gone.
    pub(crate) fn set_targets(&self, app: &Key, targets: BTreeSet<ObjectKey>) {
        let mut state = self.lock();
        let before = if targets.is_empty() {
            state.targets.remove(app)
        } else {
            state.targets.insert(app.clone(), targets.clone())
        };
        let before = before.unwrap_or_default();
        for key in before.difference(&targets) {
            if let Some(apps) = state.wanted.get_mut(key) {
                apps.remove(app);
                if apps.is_empty() {
                    state.wanted.remove(key);
                }
            }
        }
        for key in targets.difference(&before) {
            state
                .wanted
                .entry(key.clone())
                .or_default()
                .insert(app.clone());
        }
    }

    /// The Application of a tracking name.
    fn app(&self, name: &str) -> Key {
        // Names of objects hold no underscore.
        match name.split_once('_') {
            Some((namespace, name)) => Key::new(namespace, name),
            None => Key::new(&self.control_namespace, name),
        }
    }

    /// Takes a change in, and says which Applications it concerns.
    fn changed(&self, kind: &GroupKind, change: &Change<'_>) -> BTreeSet<Key> {
        let (now, before) = match change {
            Change::Applied { object, previous } => (Some(*object), *previous),
            Change::Deleted { object } => (None, Some(*object)),
        };
        let key = object_key(kind, &change.object().key);
        let owner = |object: Option<&Arc<Object>>| -> Option<String> {
            let value = object?.value();
            let id = annotation(&value, names::TRACKING_ID)?;
            tracking::owner_of(id, &key).map(str::to_owned)
        };
        let (now, before) = (owner(now), owner(before));
        let mut state = self.lock();
        if now != before {
            if let Some(before) = &before
                && let Some(keys) = state.owned.get_mut(before)
            {
                keys.remove(&key);
                if keys.is_empty() {
                    state.owned.remove(before);
                }
            }
            if let Some(now) = &now {
                state
                    .owned
                    .entry(now.clone())
                    .or_default()
                    .insert(key.clone());
            }
        }
        let mut apps = state.wanted.get(&key).cloned().unwrap_or_default();
        drop(state);
        apps.extend(
            [now, before]
                .into_iter()
                .flatten()
                .map(|name| self.app(&name)),
        );
        apps
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The key of an object of a kind.
pub(crate) fn object_key(kind: &GroupKind, key: &Key) -> ObjectKey {
    ObjectKey {
        kind: kind.clone(),
        namespace: key.namespace.to_string(),
        name: key.name.to_string(),
    }
}

/// Caches by kind, for one observation.
pub(crate) type ByKind = BTreeMap<GroupKind, (Kind, Arc<Cache>)>;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(name: &str, version: &str, tracking: Option<&str>) -> Arc<Object> {
        let mut value = json!({"kind": "ConfigMap", "metadata": {"name": name, "namespace": "shop", "uid": "u", "resourceVersion": version,
            "labels": {"a": "b"}, "managedFields": []}, "data": {"a": "b"}});
        if let Some(tracking) = tracking {
            value["metadata"]["annotations"] = json!({names::TRACKING_ID: tracking, "other": "x"});
        }
        tracking_only(&mut value);
        Arc::new(Object::from_value(&value).unwrap())
    }

    fn applied<'a>(object: &'a Arc<Object>, previous: Option<&'a Arc<Object>>) -> Change<'a> {
        Change::Applied { object, previous }
    }

    #[test]
    fn an_object_wakes_the_application_that_its_annotation_names() {
        let index = Index::new("argocd");
        let kind = GroupKind::new("", "ConfigMap");
        let first = object("a", "1", Some("web:/ConfigMap:shop/a"));
        assert_eq!(
            index.changed(&kind, &applied(&first, None)),
            [Key::new("argocd", "web")].into()
        );
        assert_eq!(index.owned("web").len(), 1);
        let second = object("a", "2", Some("team_api:/ConfigMap:shop/a"));
        assert_eq!(
            index.changed(&kind, &applied(&second, Some(&first))),
            [Key::new("argocd", "web"), Key::new("team", "api")].into()
        );
        assert!(index.owned("web").is_empty());
        let gone = Change::Deleted { object: &second };
        assert_eq!(
            index.changed(&kind, &gone),
            [Key::new("team", "api")].into()
        );
        assert!(index.owned("team_api").is_empty());
    }

    #[test]
    fn an_object_wakes_the_applications_that_want_it() {
        let index = Index::new("argocd");
        let kind = GroupKind::new("", "ConfigMap");
        let app = Key::new("argocd", "web");
        index.set_targets(&app, [object_key(&kind, &Key::new("shop", "a"))].into());
        let untracked = object("a", "1", None);
        assert_eq!(
            index.changed(&kind, &applied(&untracked, None)),
            [app.clone()].into()
        );
        index.set_targets(&app, BTreeSet::new());
        assert!(index.changed(&kind, &applied(&untracked, None)).is_empty());
    }

    #[test]
    fn of_an_object_only_identity_and_tracking_are_kept() {
        let value = object("a", "1", Some("web:/ConfigMap:shop/a")).value();
        assert_eq!(
            value,
            json!({"metadata": {"name": "a", "namespace": "shop", "uid": "u", "resourceVersion": "1",
                "annotations": {names::TRACKING_ID: "web:/ConfigMap:shop/a"}}})
        );
    }
}
