//! ingress-nginx, and routers that read its annotations: a canary Ingress beside each stable one.
//!
//! The Rollout names Ingresses that route to the stable Service. For each, `<rollout>-<ingress>-canary` is made: the
//! paths that lead to the stable Service, leading to the canary Service instead, with the annotations `canary: "true"`
//! and `canary-weight`. It is owned by the Rollout, stays at weight 0 between rollouts, and is the only object
//! written; an Ingress of that name that the Rollout does not own is never touched.

use serde_json::{Map, Value, json};
use sluice_crds::rollout::Rollout;
use sluice_crds::rollout::traffic_routing::NginxTrafficRouting;
use sluice_crds::split::{ObservedSplit, Split};

use crate::Lookup;
use crate::edit::{RouteEdit, merge};
use crate::object::{
    FieldError, ObjectRef, RouterObject, at, controlled_by_uid, list, resource_version, text, uid,
};
use crate::sides::Sides;
use crate::spec::{Ranked, namespace};
use crate::weights::scaled;

/// Prefix of the annotations unless `annotationPrefix` says another.
const PREFIX: &str = "nginx.ingress.kubernetes.io";
/// Annotation that chose the Ingress controller before `ingressClassName`.
const CLASS: &str = "kubernetes.io/ingress.class";
/// Longest name of an object.
const LONGEST_NAME: usize = 253;

/// A stable Ingress that a Rollout names, and the canary Ingress beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CanaryIngress {
    stable: ObjectRef,
    canary: ObjectRef,
    field: String,
    prefix: String,
    /// Further annotations of the canary Ingress.
    annotations: Vec<(String, String)>,
}

/// Reads `trafficRouting.nginx`. What can be read is returned beside the errors.
pub(crate) fn read(
    rollout: &Rollout,
    nginx: &NginxTrafficRouting,
    field: &str,
) -> (Vec<CanaryIngress>, Vec<FieldError>) {
    let mut errors = Vec::new();
    let mut error = |key: &str, message: &str| {
        errors.push(FieldError {
            field: format!("{field}.{key}"),
            message: message.to_owned(),
        });
    };
    let prefix = nginx
        .annotation_prefix
        .clone()
        .filter(|prefix| !prefix.is_empty());
    let prefix = prefix.unwrap_or_else(|| PREFIX.to_owned());
    let one = nginx
        .stable_ingress
        .iter()
        .map(|name| ("stableIngress".to_owned(), name));
    let many = nginx.stable_ingresses.iter().flatten().enumerate();
    let many = many.map(|(index, name)| (format!("stableIngresses[{index}]"), name));
    let named: Vec<(String, &String)> = one.chain(many).collect();
    let both = nginx.stable_ingress.is_some()
        && nginx
            .stable_ingresses
            .as_ref()
            .is_some_and(|names| !names.is_empty());
    if both {
        error(
            "stableIngresses",
            "cannot be set together with stableIngress: keep one of them",
        );
    }
    if named.is_empty() {
        error(
            "stableIngress",
            "required: the Ingress that routes to the stable Service",
        );
    }
    let annotations = further_annotations(nginx, &prefix, &mut error);
    let mut ingresses: Vec<CanaryIngress> = Vec::new();
    for (key, name) in named {
        if name.is_empty() {
            error(&key, "is empty: it must be the name of an Ingress");
            continue;
        }
        let rollout_name = rollout.metadata.name.as_deref().unwrap_or_default();
        let ingress = CanaryIngress {
            stable: reference(rollout, name),
            canary: reference(rollout, &canary_name(rollout_name, name)),
            field: format!("{field}.{key}"),
            prefix: prefix.clone(),
            annotations: annotations.clone(),
        };
        match ingresses
            .iter()
            .find(|known| known.canary == ingress.canary)
        {
            Some(known) if known.stable == ingress.stable => error(&key, "is named twice"),
            Some(known) => {
                let message = format!(
                    "and {} share the canary Ingress {} because their names are too long: shorten \
                     one of them",
                    known.stable.name, known.canary.name
                );
                error(&key, &message);
            }
            None => ingresses.push(ingress),
        }
    }
    (ingresses, errors)
}

/// The annotations that the Rollout adds, with full keys.
fn further_annotations(
    nginx: &NginxTrafficRouting,
    prefix: &str,
    error: &mut impl FnMut(&str, &str),
) -> Vec<(String, String)> {
    let prefixed = nginx
        .additional_ingress_annotations
        .iter()
        .flatten()
        .map(|(key, value)| {
            let full = if key.starts_with(prefix) {
                key.clone()
            } else {
                format!("{prefix}/{key}")
            };
            ("additionalIngressAnnotations", key, full, value)
        });
    let verbatim = nginx
        .canary_ingress_annotations
        .iter()
        .flatten()
        .map(|(key, value)| ("canaryIngressAnnotations", key, key.clone(), value));
    let mut annotations = Vec::new();
    for (map, key, full, value) in prefixed.chain(verbatim) {
        let own = full
            .strip_prefix(prefix)
            .and_then(|rest| rest.strip_prefix('/'));
        if matches!(
            own,
            Some("canary" | "canary-weight" | "canary-weight-total")
        ) {
            let message = "is written by the controller: remove it; the total is maxTrafficWeight";
            error(&format!("{map}.{key}"), message);
        } else {
            annotations.push((full, value.clone()));
        }
    }
    annotations
}

fn reference(rollout: &Rollout, name: &str) -> ObjectRef {
    ObjectRef {
        api_version: "networking.k8s.io/v1".to_owned(),
        kind: "Ingress".to_owned(),
        plural: "ingresses".to_owned(),
        namespace: namespace(rollout),
        name: name.to_owned(),
    }
}

/// `<rollout>-<ingress>-canary`, with the middle cut so that it is a valid name.
fn canary_name(rollout: &str, ingress: &str) -> String {
    const SUFFIX: &str = "-canary";
    let mut name = format!("{rollout}-{ingress}");
    while name.len() + SUFFIX.len() > LONGEST_NAME {
        name.pop();
    }
    name + SUFFIX
}

impl CanaryIngress {
    pub(crate) fn objects(&self) -> [RouterObject; 2] {
        [(&self.stable, false), (&self.canary, true)].map(|(object, managed)| RouterObject {
            object: object.clone(),
            field: self.field.clone(),
            managed,
        })
    }

    /// The canary Ingress that the Rollout owns.
    pub(crate) fn canary(&self) -> &ObjectRef {
        &self.canary
    }

    fn key(&self, name: &str) -> String {
        format!("{}/{name}", self.prefix)
    }

    pub(crate) fn observe<'a>(
        &self,
        rollout: &Rollout,
        sides: &Sides,
        objects: &Lookup<'_, 'a>,
        max: i32,
    ) -> ObservedSplit {
        let canary = match objects(&self.stable) {
            None => Err(format!("{} does not exist: create it", self.stable)),
            Some(stable) => self.rules(stable, sides).and_then(|_| {
                objects(&self.canary).map_or(Ok(0), |canary| self.weight(rollout, canary, max))
            }),
        };
        ObservedSplit {
            object: self.canary.to_string(),
            field: self.field.clone(),
            canary,
            accepted: None,
            routes: None,
            additional: Vec::new(),
        }
    }

    /// The canary weight in an existing canary Ingress, as parts of `max`.
    fn weight(&self, rollout: &Rollout, canary: &Value, max: i32) -> Result<i32, String> {
        self.check_owner(rollout, canary)?;
        let number = |key: &str, default: i64| {
            let key = self.key(key);
            match at(canary, &["metadata", "annotations", &key]) {
                None | Some(Value::Null) => Ok(default),
                Some(value) => value
                    .as_str()
                    .and_then(|text| text.parse::<i64>().ok())
                    .filter(|number| (0..=i64::from(i32::MAX)).contains(number))
                    .ok_or_else(|| {
                        format!(
                            "{}: annotation {key} must be a whole number, not {value}",
                            self.canary
                        )
                    }),
            }
        };
        let (weight, total) = (
            number("canary-weight", 0)?,
            number("canary-weight-total", 100)?,
        );
        if text(canary, &["metadata", "annotations", &self.key("canary")]) != Some("true") {
            return Err(format!(
                "{} lacks annotation {}: \"true\", so it takes traffic as if it were a stable \
                 Ingress: delete it, it is made again",
                self.canary,
                self.key("canary")
            ));
        }
        if total == 0 {
            return Err(format!("{}: the total of the weights is 0", self.canary));
        }
        Ok(scaled(weight, total, max))
    }

    fn check_owner(&self, rollout: &Rollout, canary: &Value) -> Result<(), String> {
        if !controlled_by_uid(canary, rollout.metadata.uid.as_deref().unwrap_or_default()) {
            return Err(format!(
                "{} exists and is not owned by this Rollout: delete or rename it",
                self.canary
            ));
        }
        if at(canary, &["metadata", "deletionTimestamp"]).is_some_and(|value| !value.is_null()) {
            return Err(format!(
                "{} is being deleted: it is made again afterwards",
                self.canary
            ));
        }
        Ok(())
    }

    /// The rules of the stable Ingress that lead to the stable Service, leading to the canary Service.
    fn rules(&self, stable: &Value, sides: &Sides) -> Result<Vec<Value>, String> {
        let mut rules = Vec::new();
        for rule in list(stable, &["spec", "rules"]) {
            let paths: Vec<Value> = list(rule, &["http", "paths"])
                .iter()
                .filter_map(|path| {
                    let service = ["backend", "service", "name"];
                    if text(path, &service) != Some(sides.stable.as_str()) {
                        return None;
                    }
                    let mut path = path.clone();
                    *path.pointer_mut("/backend/service/name")? =
                        Value::from(sides.canary.as_str());
                    Some(path)
                })
                .collect();
            let mut rule = rule.clone();
            if let Some(slot) = rule.pointer_mut("/http/paths")
                && !paths.is_empty()
            {
                *slot = Value::Array(paths);
                rules.push(rule);
            }
        }
        if rules.is_empty() {
            return Err(format!(
                "{} has no rule with a path to Service {}: add one",
                self.stable, sides.stable
            ));
        }
        Ok(rules)
    }

    fn wanted_annotations(&self, stable: &Value, split: &Split) -> Map<String, Value> {
        let mut wanted: Map<String, Value> = self
            .annotations
            .iter()
            .map(|(key, value)| (key.clone(), Value::from(value.as_str())))
            .collect();
        let class = text(stable, &["metadata", "annotations", CLASS]);
        wanted.extend(class.map(|class| (CLASS.to_owned(), Value::from(class))));
        wanted.insert(self.key("canary"), Value::from("true"));
        let weight = split.canary.clamp(0, split.max);
        wanted.insert(self.key("canary-weight"), Value::from(weight.to_string()));
        if split.max != 100 {
            wanted.insert(
                self.key("canary-weight-total"),
                Value::from(split.max.to_string()),
            );
        }
        wanted
    }

    pub(crate) fn edits<'a>(
        &self,
        rollout: &Rollout,
        sides: &Sides,
        split: &Split,
        objects: &Lookup<'_, 'a>,
    ) -> Option<Ranked> {
        let stable = objects(&self.stable)?;
        let rules = self.rules(stable, sides).ok()?;
        let annotations = self.wanted_annotations(stable, split);
        let mut spec = Map::new();
        spec.insert("rules".to_owned(), Value::Array(rules));
        for key in ["ingressClassName", "tls"] {
            let value = at(stable, &["spec", key]).filter(|value| !value.is_null());
            spec.extend(value.map(|value| (key.to_owned(), value.clone())));
        }
        match objects(&self.canary) {
            Some(canary) => {
                self.check_owner(rollout, canary).ok()?;
                self.update(rollout, canary, annotations, spec, split)
            }
            None => Some(self.create(rollout, annotations, spec, split)),
        }
    }

    fn create(
        &self,
        rollout: &Rollout,
        annotations: Map<String, Value>,
        spec: Map<String, Value>,
        split: &Split,
    ) -> Ranked {
        let manifest = json!({
            "apiVersion": self.canary.api_version,
            "kind": self.canary.kind,
            "metadata": {
                "name": self.canary.name,
                "namespace": self.canary.namespace,
                "annotations": annotations,
                "ownerReferences": [{
                    "apiVersion": "argoproj.io/v1alpha1",
                    "kind": "Rollout",
                    "name": rollout.metadata.name,
                    "uid": rollout.metadata.uid,
                    "controller": true,
                    "blockOwnerDeletion": true,
                }],
            },
            "spec": spec,
        });
        Ranked {
            raises_canary: split.canary > 0,
            edit: RouteEdit::Create {
                object: self.canary.clone(),
                manifest,
                summary: format!("{}: made with canary weight {}", self.canary, split.canary),
            },
        }
    }

    fn update(
        &self,
        rollout: &Rollout,
        canary: &Value,
        mut annotations: Map<String, Value>,
        mut spec: Map<String, Value>,
        split: &Split,
    ) -> Option<Ranked> {
        let empty = Map::new();
        let live = |key: &[&str]| at(canary, key).and_then(Value::as_object).unwrap_or(&empty);
        // Settings of the router that the Rollout no longer asks for still act: they go. Other people's annotations
        // stay.
        for key in live(&["metadata", "annotations"]).keys() {
            if key.starts_with(&format!("{}/", self.prefix)) && !annotations.contains_key(key) {
                annotations.insert(key.clone(), Value::Null);
            }
        }
        if live(&["spec"]).contains_key("tls") && !spec.contains_key("tls") {
            spec.insert("tls".to_owned(), Value::Null);
        }
        annotations.retain(|key, value| live(&["metadata", "annotations"]).get(key) != Some(value));
        spec.retain(|key, value| live(&["spec"]).get(key) != Some(value));
        let before = self.weight(rollout, canary, split.max);
        let mut words = Vec::new();
        if annotations.contains_key(&self.key("canary-weight"))
            || annotations.contains_key(&self.key("canary-weight-total"))
        {
            let before = before
                .as_ref()
                .map_or_else(|_| "?".to_owned(), i32::to_string);
            words.push(format!("canary weight {before} → {}", split.canary));
        } else if !annotations.is_empty() {
            words.push("annotations follow the Rollout".to_owned());
        }
        if !spec.is_empty() {
            words.push(format!("rules follow {}", self.stable));
        }
        let mut changes = Map::new();
        if !annotations.is_empty() {
            changes.insert("metadata".to_owned(), json!({"annotations": annotations}));
        }
        if !spec.is_empty() {
            changes.insert("spec".to_owned(), Value::Object(spec));
        }
        if changes.is_empty() {
            return None;
        }
        Some(Ranked {
            raises_canary: before.map_or(split.canary > 0, |before| split.canary > before),
            edit: RouteEdit::Patch {
                object: self.canary.clone(),
                uid: uid(canary),
                resource_version: resource_version(canary),
                patch: merge(canary, Value::Object(changes)),
                summary: format!("{}: {}", self.canary, words.join(", ")),
            },
        })
    }

    pub(crate) fn removal<'a>(
        &self,
        rollout: &Rollout,
        objects: &Lookup<'_, 'a>,
    ) -> Option<RouteEdit> {
        let canary = objects(&self.canary)?;
        self.check_owner(rollout, canary).ok()?;
        Some(delete(&self.canary, canary))
    }
}

/// The deletion of a canary Ingress that the Rollout made and that is not among the objects that it names.
pub(crate) fn orphan(rollout: &Rollout, object: &Value, named: &[ObjectRef]) -> Option<RouteEdit> {
    let name = text(object, &["metadata", "name"])?;
    let this = reference(rollout, name);
    let is_canary = at(object, &["metadata", "annotations"])?
        .as_object()?
        .iter()
        .any(|(key, value)| key.ends_with("/canary") && value.as_str() == Some("true"));
    let ours = controlled_by_uid(object, rollout.metadata.uid.as_deref().unwrap_or_default());
    let deleting =
        at(object, &["metadata", "deletionTimestamp"]).is_some_and(|value| !value.is_null());
    (is_canary && ours && !deleting && this.names(object) && !named.contains(&this))
        .then(|| delete(&this, object))
}

fn delete(canary: &ObjectRef, object: &Value) -> RouteEdit {
    RouteEdit::Delete {
        object: canary.clone(),
        uid: uid(object),
        resource_version: resource_version(object),
        summary: format!("{canary}: deleted, the Rollout no longer uses it"),
    }
}
