//! What is wrong with a Rollout, before anything is done about it.
//!
//! In: the [`World`]. Out: every [`FieldError`], the most basic first; empty when the Rollout can be carried out. The
//! first one becomes the `InvalidSpec` condition ([`condition_message`]).
//!
//! | file | rules about |
//! |---|---|
//! | `spec` | replicas, selector, deadlines, exactly one strategy |
//! | `template`, `containers` | the pod template: what a ReplicaSet would be refused for |
//! | `canary`, `steps`, `experiment`, `blue_green` | the strategy |
//! | `references` | Services and analysis templates: there, and fitting |
//!
//! Rules and messages are those that users of Argo Rollouts know; where a value was ignored there although it has no
//! meaning (a negative delay, a surge that is no number), it is an error here. Field names are complete paths.

mod blue_green;
mod canary;
mod containers;
mod experiment;
mod names;
mod references;
mod selector;
mod spec;
mod steps;
mod template;

use std::fmt;

use serde::Serialize;
use sluice_crds::rollout::{Rollout, RolloutSpec};

use crate::basis::NO_TEMPLATE;
use crate::workload;
use crate::world::World;

/// A field of the Rollout and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// Path of the field, as in `spec.strategy.canary.steps[1].setWeight`.
    pub field: String,
    /// What is wrong, as in `Invalid value: 120: SetWeight needs to be between 0 and 100`.
    pub message: String,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

/// Every error of a Rollout, the one to be shown first.
#[must_use]
pub fn validate(world: &World<'_>) -> Vec<FieldError> {
    let resolved = workload::resolved(world);
    with_references(of_spec(&world.rollout.spec), world, &resolved)
}

/// The errors of a spec, whatever it refers to.
pub(crate) fn of_spec(spec: &RolloutSpec) -> Vec<FieldError> {
    let mut errors = Errors::default();
    spec::check(spec, &mut errors);
    errors.0
}

/// These errors, and those of what a Rollout refers to whose template was found already.
pub(crate) fn with_references(
    errors: Vec<FieldError>,
    world: &World<'_>,
    resolved: &Rollout,
) -> Vec<FieldError> {
    let mut errors = Errors(errors);
    let world = &World {
        rollout: resolved,
        ..*world
    };
    references::check(world, &mut errors);
    errors.0
}

/// Message of the `InvalidSpec` condition for an error.
#[must_use]
pub fn condition_message(rollout: &str, error: &FieldError) -> String {
    format!("The Rollout \"{rollout}\" is invalid: {error}")
}

/// The errors while they are collected. The methods are the kinds of error that Kubernetes knows.
#[derive(Debug, Default)]
struct Errors(Vec<FieldError>);

impl Errors {
    /// Adds an error, unless the same field has it already.
    fn add(&mut self, field: impl Into<String>, message: impl Into<String>) {
        let error = FieldError {
            field: field.into(),
            message: message.into(),
        };
        if !self.0.contains(&error) {
            self.0.push(error);
        }
    }

    fn invalid(&mut self, field: impl Into<String>, value: impl Serialize, why: impl fmt::Display) {
        self.add(field, format!("Invalid value: {}: {why}", shown(value)));
    }

    fn required(&mut self, field: impl Into<String>, why: &str) {
        self.add(field, with("Required value", why));
    }

    fn forbidden(&mut self, field: impl Into<String>, why: &str) {
        self.add(field, with("Forbidden", why));
    }

    fn duplicate(&mut self, field: impl Into<String>, value: &str) {
        self.add(field, format!("Duplicate value: {}", shown(value)));
    }

    fn not_supported(&mut self, field: impl Into<String>, value: &str, supported: &[&str]) {
        let supported: Vec<String> = supported.iter().map(shown).collect();
        self.add(
            field,
            format!(
                "Unsupported value: {}: supported values: {}",
                shown(value),
                supported.join(", ")
            ),
        );
    }

    /// A number that may be absent and must not be negative.
    fn not_negative(&mut self, field: &str, value: Option<i32>) {
        if let Some(value) = value.filter(|value| *value < 0) {
            self.invalid(field, value, "must be greater than or equal to 0");
        }
    }
}

fn with(kind: &str, why: &str) -> String {
    if why.is_empty() {
        kind.to_owned()
    } else {
        format!("{kind}: {why}")
    }
}

fn shown(value: impl Serialize) -> String {
    serde_json::to_string(&value).unwrap_or_else(|_| "null".to_owned())
}
