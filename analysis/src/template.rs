//! From references to templates to the spec of an AnalysisRun.
//!
//! In: references, a lookup, arguments that are already values or Secret keys, rules of the caller. Out: a spec with
//! every metric of every template that is reached, each template counted once, or a [`FieldError`] that names the
//! reference and the template. Total and deterministic: metrics come in the order of the references, a template before
//! the templates that it refers to.

use std::collections::{BTreeMap, BTreeSet};

use sluice_crds::analysis::{
    AnalysisRunSpec, AnalysisTemplateRef, AnalysisTemplateSpec, Argument,
    ClusterAnalysisTemplateSpec, DryRun, MeasurementRetention, Metric,
};

use crate::{args, validate};

/// Something that is wrong in what a person wrote: where, and what.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct FieldError {
    /// Path below the analysis that was built, as in `templates[1].templateName`. Empty for the analysis itself.
    pub field: String,
    /// What is wrong, with the name of the template.
    pub message: String,
}

impl FieldError {
    /// An error at a field.
    #[must_use]
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            message: message.into(),
        }
    }

    /// The same error, seen from the object that holds the analysis at `prefix`.
    #[must_use]
    pub fn under(self, prefix: &str) -> Self {
        let field = if self.field.is_empty() {
            prefix.to_owned()
        } else {
            format!("{prefix}.{}", self.field)
        };
        Self { field, ..self }
    }
}

/// Where templates are found.
pub trait TemplateLookup {
    /// An AnalysisTemplate of the namespace.
    fn template(&self, name: &str) -> Option<&AnalysisTemplateSpec>;
    /// A ClusterAnalysisTemplate.
    fn cluster_template(&self, name: &str) -> Option<&AnalysisTemplateSpec>;
}

/// Templates in memory.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Templates {
    namespaced: BTreeMap<String, AnalysisTemplateSpec>,
    cluster: BTreeMap<String, AnalysisTemplateSpec>,
}

impl Templates {
    /// No templates.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds or replaces an AnalysisTemplate.
    pub fn insert(&mut self, name: impl Into<String>, spec: AnalysisTemplateSpec) {
        self.namespaced.insert(name.into(), spec);
    }

    /// Adds or replaces a ClusterAnalysisTemplate.
    pub fn insert_cluster(&mut self, name: impl Into<String>, spec: ClusterAnalysisTemplateSpec) {
        self.cluster.insert(name.into(), spec.into());
    }
}

impl TemplateLookup for Templates {
    fn template(&self, name: &str) -> Option<&AnalysisTemplateSpec> {
        self.namespaced.get(name)
    }

    fn cluster_template(&self, name: &str) -> Option<&AnalysisTemplateSpec> {
        self.cluster.get(name)
    }
}

/// Builds the spec of a run.
///
/// `args` replace the defaults of the templates; an argument that no template declares is left out. `dry_run` and
/// `retention` come before the rules of the templates.
///
/// # Errors
/// A template that does not exist, two metrics with one name, an argument with two values or without any, a rule that
/// matches no metric, or a metric that is not valid.
pub fn build_run_spec(
    refs: &[AnalysisTemplateRef],
    lookup: &dyn TemplateLookup,
    args: &[Argument],
    dry_run: &[DryRun],
    retention: &[MeasurementRetention],
) -> Result<AnalysisRunSpec, FieldError> {
    if refs.is_empty() {
        return Err(FieldError::new(
            "templates",
            "no template is named: name at least one AnalysisTemplate or ClusterAnalysisTemplate",
        ));
    }
    let templates = flatten(refs, lookup)?;
    let merged = merge(&templates)?;
    let args = args::merge(args, &merged.args);
    if let Some(argument) = args
        .iter()
        .find(|argument| argument.value.is_none() && argument.value_from.is_none())
    {
        return Err(FieldError::new(
            "args",
            format!(
                "args.{} was not resolved: give it a value, since {} declares it without a default",
                argument.name,
                merged
                    .declared_by
                    .get(&argument.name)
                    .map_or("its template", String::as_str),
            ),
        ));
    }
    let spec = AnalysisRunSpec {
        metrics: Some(merged.metrics),
        args: (!args.is_empty()).then_some(args),
        dry_run: rules(dry_run, merged.dry_run, |rule| &rule.metric_name),
        measurement_retention: rules(retention, merged.retention, |rule| &rule.metric_name),
        terminate: None,
        ttl_strategy: None,
    };
    validate::run_spec(&spec)
        .map_err(|error| FieldError::new("templates", merged.origin.explain(error)))?;
    Ok(spec)
}

/// A template that is reached from the references.
struct Reached<'a> {
    /// `AnalysisTemplate success-rate`.
    label: String,
    /// Field of the reference through which it is reached.
    field: String,
    spec: &'a AnalysisTemplateSpec,
}

/// Every template that is reached, each once: a template that is reached again, by itself or by a neighbour, adds
/// nothing, so a cycle ends where it closes.
fn flatten<'a>(
    refs: &[AnalysisTemplateRef],
    lookup: &'a dyn TemplateLookup,
) -> Result<Vec<Reached<'a>>, FieldError> {
    let mut reached = Vec::new();
    let mut seen = BTreeSet::new();
    // A stack, not a recursion: the depth of the nesting is in the hands of whoever writes templates.
    let mut open: Vec<(AnalysisTemplateRef, String, Option<String>)> = refs
        .iter()
        .enumerate()
        .rev()
        .map(|(index, reference)| (reference.clone(), format!("templates[{index}]"), None))
        .collect();
    while let Some((reference, field, parent)) = open.pop() {
        let cluster = reference.cluster_scope.unwrap_or(false);
        let name = reference.template_name.unwrap_or_default();
        if !seen.insert((cluster, name.clone())) {
            continue;
        }
        let kind = if cluster {
            "ClusterAnalysisTemplate"
        } else {
            "AnalysisTemplate"
        };
        let found = if cluster {
            lookup.cluster_template(&name)
        } else {
            lookup.template(&name)
        };
        let Some(spec) = found else {
            let by = parent.map_or_else(String::new, |parent| format!(" (named by {parent})"));
            return Err(FieldError::new(
                format!("{field}.templateName"),
                format!("{kind} '{name}' not found{by}"),
            ));
        };
        let label = format!("{kind} {name}");
        for nested in spec.templates.iter().flatten().rev() {
            open.push((nested.clone(), field.clone(), Some(label.clone())));
        }
        reached.push(Reached { label, field, spec });
    }
    Ok(reached)
}

/// What the templates say together.
struct Merged {
    metrics: Vec<Metric>,
    args: Vec<Argument>,
    /// Which template declares an argument first.
    declared_by: BTreeMap<String, String>,
    dry_run: Vec<DryRun>,
    retention: Vec<MeasurementRetention>,
    origin: Origin,
}

/// Which template a metric comes from, by its index in the run.
struct Origin(Vec<String>);

impl Origin {
    /// Names the template in an error about the run.
    fn explain(&self, error: FieldError) -> String {
        let template = error
            .field
            .strip_prefix("metrics[")
            .and_then(|rest| rest.split_once(']'))
            .and_then(|(index, _)| self.0.get(index.parse::<usize>().ok()?));
        match template {
            Some(template) => format!("{template}: {}: {}", error.field, error.message),
            None => format!("{}: {}", error.field, error.message),
        }
    }
}

fn merge(templates: &[Reached<'_>]) -> Result<Merged, FieldError> {
    let mut merged = Merged {
        metrics: Vec::new(),
        args: Vec::new(),
        declared_by: BTreeMap::new(),
        dry_run: Vec::new(),
        retention: Vec::new(),
        origin: Origin(Vec::new()),
    };
    for template in templates {
        let label = &template.label;
        for metric in template.spec.metrics.iter().flatten() {
            if let Some(other) = merged
                .metrics
                .iter()
                .position(|other| other.name == metric.name)
            {
                let other = merged.origin.0.get(other).map_or("", String::as_str);
                return Err(FieldError::new(
                    template.field.clone(),
                    format!(
                        "two metrics have the same name '{}': one in {other}, one in {label}",
                        metric.name
                    ),
                ));
            }
            merged.metrics.push(metric.clone());
            merged.origin.0.push(label.clone());
        }
        for argument in template.spec.args.iter().flatten() {
            merge_argument(argument, template, &mut merged)?;
        }
        merged
            .dry_run
            .extend(template.spec.dry_run.iter().flatten().cloned());
        merged.retention.extend(
            template
                .spec
                .measurement_retention
                .iter()
                .flatten()
                .cloned(),
        );
    }
    Ok(merged)
}

fn merge_argument(
    argument: &Argument,
    template: &Reached<'_>,
    merged: &mut Merged,
) -> Result<(), FieldError> {
    let first = merged
        .declared_by
        .entry(argument.name.clone())
        .or_insert_with(|| template.label.clone());
    let Some(known) = merged
        .args
        .iter_mut()
        .find(|known| known.name == argument.name)
    else {
        merged.args.push(argument.clone());
        return Ok(());
    };
    let has_source =
        |argument: &Argument| argument.value.is_some() || argument.value_from.is_some();
    if has_source(known) && has_source(argument) && known != argument {
        return Err(FieldError::new(
            template.field.clone(),
            format!(
                "argument '{}' is specified multiple times with different values: in {first} and in {}",
                argument.name, template.label
            ),
        ));
    }
    if !has_source(known) {
        *known = argument.clone();
    }
    Ok(())
}

/// Rules of the caller, then rules of the templates for names that the caller does not mention.
fn rules<T: Clone>(own: &[T], others: Vec<T>, name: impl Fn(&T) -> &String) -> Option<Vec<T>> {
    let mut rules: Vec<T> = Vec::new();
    for rule in own.iter().cloned().chain(others) {
        if !rules.iter().any(|known| name(known) == name(&rule)) {
            rules.push(rule);
        }
    }
    (!rules.is_empty()).then_some(rules)
}
