//! Quarantine: a rendering whose Rollout was aborted is not tried again until Git brings something else.
//!
//! Input: the records so far, the head's rendering, and the live Rollouts. Output: the new records and what they hold.
//!
//! * A record is made when a managed Rollout is aborted while it runs the pod template of the head's rendering. It is
//!   kept in an annotation of the Application, so it survives the controller.
//! * While the rendering as a whole is the one that was recorded, automated sync does not apply it, whatever commit it
//!   comes from.
//! * When only the pod template is the recorded one, everything else is synced and the Rollout's object is left alone.
//! * Another pod template in Git lifts the quarantine at once; so does the template's complete promotion (a person
//!   retried, and it went well), and so does a person, by annotation. A lifted record is kept for as long as the Rollout
//!   is still aborted, so that the same abort is not recorded again.
//!
//! The live spec of an aborted Rollout is not touched.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sluice_crds::names;

use crate::compare::{LiveState, Prediction};
use crate::digest;
use crate::key::{Key, annotation, is_deleting, list, number, text};
use crate::manifest::{Target, Targets};

/// Characters of evidence that are kept; annotations have a bounded size.
const LONGEST_EVIDENCE: usize = 1_000;

/// One quarantined rendering.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Commit that brought the pod template.
    pub revision: String,
    /// Digest of the whole rendering.
    pub digest: String,
    /// Namespace of the Rollout.
    pub namespace: String,
    /// Name of the Rollout.
    pub rollout: String,
    /// Pod-template hash that was aborted.
    pub pod_hash: String,
    /// Digest of the pod template as rendered.
    pub template_digest: String,
    /// Why it was aborted, in the Rollout's words.
    pub evidence: String,
    /// When it was aborted.
    pub at: Timestamp,
    /// When a person lifted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifted_at: Option<Timestamp>,
}

impl Record {
    fn is_about(&self, key: &Key) -> bool {
        self.namespace == key.namespace && self.rollout == key.name
    }

    /// Whether it still holds something.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.lifted_at.is_none()
    }

    /// One sentence for people.
    #[must_use]
    pub fn sentence(&self) -> String {
        format!(
            "Revision {} is quarantined: Rollout {}/{} (pod template {}) was aborted at {}: {}. Automated sync does not \
             apply this pod template again; push another one, or annotate the Application with {} to lift it",
            self.revision,
            self.namespace,
            self.rollout,
            self.pod_hash,
            self.at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            self.evidence,
            names::LIFT_QUARANTINE
        )
    }
}

/// Reads the annotation.
///
/// # Errors
/// When it is not what this controller wrote; the caller tells people and starts from nothing.
pub fn parse(annotation: Option<&str>) -> Result<Vec<Record>, String> {
    match annotation {
        None | Some("") => Ok(Vec::new()),
        Some(text) => serde_json::from_str(text).map_err(|error| {
            format!(
                "annotation {} is not readable and was dropped: {error}",
                names::QUARANTINE
            )
        }),
    }
}

/// Writes the annotation; `None` removes it.
#[must_use]
pub fn to_annotation(records: &[Record]) -> Option<String> {
    if records.is_empty() {
        None
    } else {
        serde_json::to_string(records).ok()
    }
}

/// What the decision depends on.
#[derive(Debug, Clone, Copy)]
pub struct Observation<'a> {
    /// Records so far.
    pub records: &'a [Record],
    /// The head's commit.
    pub revision: &'a str,
    /// The head's rendering.
    pub targets: &'a Targets,
    /// What the API server predicts for it.
    pub predictions: &'a BTreeMap<Key, Prediction>,
    /// What is there.
    pub live: &'a LiveState,
    /// Whether a person asks to lift.
    pub lift: bool,
    /// Now.
    pub now: Timestamp,
}

/// What was decided.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Decision {
    /// The records from now on.
    pub records: Vec<Record>,
    /// Records that are new.
    pub added: Vec<Record>,
    /// Records that no longer hold.
    pub lifted: Vec<Record>,
    /// What the records hold of the head's rendering.
    pub hold: Hold,
    /// Held Rollouts that are not there: they need the last good rendering.
    pub missing: Vec<Key>,
}

/// What is held of one rendering.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hold {
    /// The rendering as a whole is quarantined.
    pub rendering: bool,
    /// Commits that brought the quarantined rendering.
    pub revisions: BTreeSet<String>,
    /// Objects whose pod template is quarantined.
    pub objects: BTreeSet<Key>,
}

/// Decides what is quarantined.
#[must_use]
pub fn decide(observation: &Observation<'_>) -> Decision {
    let mut decision = Decision::default();
    for target in rollouts(observation.targets) {
        let Some((carrier, template)) = template(target, observation.targets) else {
            continue;
        };
        let digest = digest::value(template);
        let live = observation.live.objects.get(&target.key);
        let mut record = observation
            .records
            .iter()
            .find(|record| record.is_about(&target.key))
            .cloned();
        if let Some(old) = &record
            && (old.template_digest != digest || live.is_some_and(|live| is_promoted(live, old)))
        {
            if old.holds() {
                decision.lifted.push(old.clone());
            }
            record = None;
        }
        if let Some(old) = record.as_mut()
            && observation.lift
            && old.holds()
        {
            decision.lifted.push(old.clone());
            old.lifted_at = Some(observation.now);
        }
        let aborted = live
            .filter(|_| runs_rendering(target, carrier, observation))
            .and_then(|live| abort_of(live, observation.now));
        if let (Some(live), Some(abort)) = (live, aborted) {
            let known = record.as_ref().is_some_and(|old| {
                old.pod_hash == abort.pod_hash && (old.at == abort.at || abort.at_is_a_guess)
            });
            if !known {
                let new = Record {
                    revision: annotation(live, names::GIT_REVISION)
                        .unwrap_or(observation.revision)
                        .to_owned(),
                    digest: observation.targets.digest.clone(),
                    namespace: target.key.namespace.clone(),
                    rollout: target.key.name.clone(),
                    pod_hash: abort.pod_hash,
                    template_digest: digest,
                    evidence: abort.evidence,
                    at: abort.at,
                    lifted_at: None,
                };
                decision.added.push(new.clone());
                record = Some(new);
            }
        } else if record
            .as_ref()
            .is_some_and(|old| !old.holds() && live.is_some())
        {
            // It was lifted, and the Rollout is no longer aborted: there is nothing left to remember.
            record = None;
        }
        if let Some(record) = record {
            if record.holds() && live.is_none_or(is_deleting) {
                decision.missing.push(target.key.clone());
            }
            decision.records.push(record);
        }
    }
    // Rollouts that Git no longer has.
    decision.lifted.extend(
        observation
            .records
            .iter()
            .filter(|old| old.holds())
            .filter(|old| !rollouts(observation.targets).any(|target| old.is_about(&target.key)))
            .cloned(),
    );
    decision.hold = hold(&decision.records, observation.targets);
    decision
}

/// What records hold of a rendering.
#[must_use]
pub fn hold(records: &[Record], targets: &Targets) -> Hold {
    let mut hold = Hold::default();
    for record in records.iter().filter(|record| record.holds()) {
        if record.digest == targets.digest {
            hold.rendering = true;
            hold.revisions.insert(record.revision.clone());
        }
        for target in rollouts(targets).filter(|target| record.is_about(&target.key)) {
            if let Some((carrier, template)) = template(target, targets)
                && digest::value(template) == record.template_digest
            {
                hold.objects.insert(carrier.key.clone());
            }
        }
    }
    hold
}

fn rollouts(targets: &Targets) -> impl Iterator<Item = &Target> {
    targets.objects.iter().filter(|target| {
        target.hook.is_none()
            && target.key.kind.group == names::GROUP
            && target.key.kind.kind == "Rollout"
    })
}

/// The object of the rendering that carries a Rollout's pod template (itself, or the workload that it refers to), and
/// the template.
fn template<'a>(rollout: &'a Target, targets: &'a Targets) -> Option<(&'a Target, &'a Value)> {
    if let Some(template) = rollout.object.pointer("/spec/template") {
        return Some((rollout, template));
    }
    let reference = rollout.object.pointer("/spec/workloadRef")?;
    let group = text(reference, "/apiVersion")
        .split_once('/')
        .map_or("", |(group, _)| group);
    let key = Key::new(
        group,
        text(reference, "/kind"),
        &rollout.key.namespace,
        text(reference, "/name"),
    );
    let carrier = targets.plain(&key)?;
    let pointer = if key.kind.kind == "PodTemplate" {
        "/template"
    } else {
        "/spec/template"
    };
    Some((carrier, carrier.object.pointer(pointer)?))
}

/// Whether the live pod template is the one that the rendering brings, and not one that was set by hand, and whether
/// the Rollout speaks about it.
fn runs_rendering(rollout: &Target, carrier: &Target, observation: &Observation<'_>) -> bool {
    let referenced = carrier.key != rollout.key;
    let pointer = if carrier.key.kind.kind == "PodTemplate" {
        "/template"
    } else {
        "/spec/template"
    };
    let live = observation.live.objects.get(&carrier.key);
    let predicted = observation.predictions.get(&carrier.key);
    let (Some(live), Some(Ok(predicted))) = (live, predicted) else {
        return false;
    };
    // A referenced workload changes without the Rollout's generation.
    let observed = !referenced
        || observation
            .live
            .objects
            .get(&rollout.key)
            .is_some_and(|rollout| {
                let seen = text(rollout, "/status/workloadObservedGeneration");
                number(live, "/metadata/generation").is_some_and(|now| seen.parse() == Ok(now))
            });
    observed && live.pointer(pointer) == predicted.pointer(pointer)
}

struct Abort {
    pod_hash: String,
    evidence: String,
    at: Timestamp,
    /// The Rollout does not say when it was aborted.
    at_is_a_guess: bool,
}

/// The abort of a Rollout, once its controller has carried it out.
fn abort_of(live: &Value, now: Timestamp) -> Option<Abort> {
    let generation = number(live, "/metadata/generation").unwrap_or(0);
    let observed = live.pointer("/status/observedGeneration")?;
    let observed = observed
        .as_i64()
        .or_else(|| observed.as_str()?.parse().ok());
    let aborted = live.pointer("/status/abort") == Some(&Value::Bool(true));
    let condition = list(live, "/status/conditions").iter().find(|condition| {
        text(condition, "/type") == "Progressing" && text(condition, "/reason") == "RolloutAborted"
    })?;
    let pod_hash = text(live, "/status/currentPodHash");
    if !aborted || observed != Some(generation) || pod_hash.is_empty() || is_deleting(live) {
        return None;
    }
    let evidence = [text(live, "/status/message"), text(condition, "/message")]
        .into_iter()
        .find(|said| !said.is_empty())
        .unwrap_or("it was aborted");
    let said = |pointer: &str| live.pointer(pointer)?.as_str()?.parse::<Timestamp>().ok();
    let at =
        said("/status/abortedAt").or_else(|| text(condition, "/lastTransitionTime").parse().ok());
    Some(Abort {
        pod_hash: pod_hash.to_owned(),
        evidence: evidence
            .trim_end_matches('.')
            .chars()
            .take(LONGEST_EVIDENCE)
            .collect(),
        at: at.unwrap_or(now),
        at_is_a_guess: at.is_none(),
    })
}

/// Whether the recorded pod template was promoted after all.
fn is_promoted(live: &Value, record: &Record) -> bool {
    text(live, "/status/stableRS") == record.pod_hash
        && text(live, "/status/currentPodHash") == record.pod_hash
        && live.pointer("/status/abort") != Some(&Value::Bool(true))
}
