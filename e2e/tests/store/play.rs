//! Plays a sequence on both servers and compares after each request what they say and what they then hold.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Result;
use kube::Client;
use serde_json::{Value, json};
use sluice_crds::pointer::text;
use sluice_e2e::cluster::apply;

use crate::kinds::Kinds;
use crate::names::Names;
use crate::servers::{Real, Simulated};
use crate::step::{Answer, Class, Send, Slot, Step};

/// Where the two servers part.
#[derive(Debug)]
pub(crate) struct Difference {
    /// The request after which they do; none: at the end.
    pub(crate) after: Option<Step>,
    /// What differs.
    pub(crate) what: String,
    /// Where in it.
    pub(crate) at: Vec<String>,
    pub(crate) real: Value,
    pub(crate) simulated: Value,
}

impl Difference {
    /// The same for differences that are likely to have the same cause.
    pub(crate) fn signature(&self) -> (Option<(&'static str, &str)>, &[String]) {
        let after = self.after.as_ref();
        let after = after.map(|step| (step.send.verb(), step.on.kind.as_str()));
        (after, &self.at)
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.after {
            Some(step) => writeln!(f, "after {}", json!(step))?,
            None => writeln!(f, "at the end")?,
        }
        write!(f, "{} differs", self.what)?;
        let value = |object: &Value, at: &str| {
            let value = object.pointer(at);
            value.map_or_else(|| "absent".to_owned(), Value::to_string)
        };
        for at in &self.at {
            write!(f, "\n  {at}\n    real:      {}", value(&self.real, at))?;
            write!(f, "\n    simulated: {}", value(&self.simulated, at))?;
        }
        Ok(())
    }
}

/// How often what was asked and answered.
#[derive(Debug, Default)]
pub(crate) struct Counts(pub(crate) BTreeMap<(&'static str, Option<Class>), u64>);

impl Counts {
    pub(crate) fn add(&mut self, other: &Self) {
        for (what, count) in &other.0 {
            *self.0.entry(*what).or_default() += count;
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for ((verb, class), count) in &self.0 {
            let class = class.map_or_else(|| "done".to_owned(), |class| format!("{class:?}"));
            writeln!(f, "{count:>7} {verb}: {class}")?;
        }
        Ok(())
    }
}

/// Plays a sequence in a namespace of its own, up to the first difference.
///
/// # Errors
/// When the real server does not answer, or says what no client is prepared for.
pub(crate) async fn play(
    kinds: &'static Kinds,
    client: &Client,
    steps: &[Step],
) -> Result<(Counts, Option<Difference>)> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let namespace = format!("sequence-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let object =
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace } });
    apply::objects(client, &[object], None).await?;
    let mut pair = Pair {
        kinds,
        real: Real {
            client: client.clone(),
            namespace: namespace.clone(),
        },
        simulated: Simulated::new(&namespace),
        // Both are numbers, and older than everything.
        real_names: Names::new("1"),
        simulated_names: Names::new("0"),
        namespace,
    };
    let mut counts = Counts::default();
    for step in steps {
        let (class, difference) = pair.step(step).await?;
        *counts.0.entry((step.send.verb(), class)).or_default() += 1;
        if let Some(mut difference) = difference {
            difference.after = Some(step.clone());
            return Ok((counts, Some(difference)));
        }
    }
    Ok((counts, pair.lists(steps).await?))
}

struct Pair {
    kinds: &'static Kinds,
    real: Real,
    simulated: Simulated,
    real_names: Names,
    simulated_names: Names,
    namespace: String,
}

impl Pair {
    /// Sends one request to both; returns how it was refused, and the difference.
    async fn step(&mut self, step: &Step) -> Result<(Option<Class>, Option<Difference>)> {
        let (on, kind) = (&step.on, self.kinds.get(&step.on.kind)?);
        let mut body = step.send.body().clone();
        if matches!(step.send, Send::Create(_)) {
            body["metadata"]["namespace"] = json!(self.namespace);
        }
        let real = step.send.with(self.real_names.render(&body));
        let simulated = step.send.with(self.simulated_names.render(&body));
        let real = self.real.send(kind, &on.name, &real).await?;
        let simulated = self.simulated.send(kind, &on.name, &simulated)?;

        let after_real = self.real.get(kind, &on.name).await?;
        let after_simulated = self.simulated.get(kind, &on.name);
        for (names, object) in [
            (&mut self.real_names, &after_real),
            (&mut self.simulated_names, &after_simulated),
        ] {
            if let Some(object) = object {
                names.learn(on, object);
            }
        }
        let class = real.as_ref().err().copied();
        let gone = after_real.is_none();
        let answers = (
            said(&self.real_names, on, &real, gone),
            said(&self.simulated_names, on, &simulated, gone),
        );
        let objects = (
            held(&self.real_names, on, after_real.as_ref()),
            held(&self.simulated_names, on, after_simulated.as_ref()),
        );
        let difference = different("the answer", &answers.0, &answers.1)
            .or_else(|| different("the object", &objects.0, &objects.1));
        Ok((class, difference))
    }

    /// Compares all that there is.
    async fn lists(&self, steps: &[Step]) -> Result<Option<Difference>> {
        let kinds: BTreeSet<&str> = steps.iter().map(|step| step.on.kind.as_str()).collect();
        for kind in kinds {
            let kind = self.kinds.get(kind)?;
            let real = listed(&self.real_names, &kind.kind, self.real.list(kind).await?);
            let simulated = self.simulated.list(kind);
            let simulated = listed(&self.simulated_names, &kind.kind, simulated);
            let what = format!("the list of all objects of kind {}", kind.kind);
            if let Some(difference) = different(&what, &real, &simulated) {
                return Ok(Some(difference));
            }
        }
        Ok(None)
    }
}

fn listed(names: &Names, kind: &str, objects: Vec<Value>) -> Value {
    let normal = |mut object: Value| {
        // Items of a list do not say again of what kind they are.
        if let Some(object) = object.as_object_mut() {
            object.remove("apiVersion");
            object.remove("kind");
        }
        let slot = Slot {
            kind: kind.to_owned(),
            name: text(&object, "/metadata/name").to_owned(),
        };
        names.normal(&slot, &object)
    };
    objects.into_iter().map(normal).collect()
}

fn said(names: &Names, on: &Slot, answer: &Answer, gone: bool) -> Value {
    match answer {
        Err(class) => json!(format!("{class:?}")),
        Ok(None) => json!("done"),
        Ok(Some(object)) => {
            let mut object = names.normal(on, object);
            // The last answer about an object carries a version that no object has.
            if gone {
                object["metadata"]["resourceVersion"] = json!("gone");
            }
            object
        }
    }
}

fn held(names: &Names, on: &Slot, object: Option<&Value>) -> Value {
    object.map_or_else(|| json!("none"), |object| names.normal(on, object))
}

fn different(what: &str, real: &Value, simulated: &Value) -> Option<Difference> {
    (real != simulated).then(|| {
        let mut paths = Vec::new();
        differing(real, simulated, "", &mut paths);
        Difference {
            after: None,
            what: what.to_owned(),
            at: paths,
            real: real.clone(),
            simulated: simulated.clone(),
        }
    })
}

/// Pointers to where two values differ.
fn differing(one: &Value, other: &Value, at: &str, found: &mut Vec<String>) {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            let keys: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
            for key in keys {
                let values = (one.get(key), other.get(key));
                // Keys of labels and annotations have slashes of their own.
                let key = key.replace('~', "~0").replace('/', "~1");
                let at = format!("{at}/{key}");
                match values {
                    (Some(one), Some(other)) => differing(one, other, &at, found),
                    _ => found.push(at),
                }
            }
        }
        (one, other) if one == other => {}
        _ => found.push(at.to_owned()),
    }
}
