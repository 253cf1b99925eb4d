//! One AnalysisRun of a Rollout: its name, its labels and annotations, its spec.

use std::collections::BTreeMap;

use sluice_analysis::template::build_run_spec;
use sluice_crds::ObjectMeta;
use sluice_crds::analysis::AnalysisRun;
use sluice_crds::names;
use sluice_crds::rollout::RolloutStatus;
use sluice_crds::rollout::canary::RolloutAnalysis;

use crate::analysis::Kind;
use crate::arguments;
use crate::seen::Seen;
use crate::time;
use crate::validation::FieldError;

/// The name of a run.
pub(crate) fn name(run: &AnalysisRun) -> &str {
    run.metadata.name.as_deref().unwrap_or_default()
}

/// The name that the first run of a kind has: `<rollout>-<hash>-<revision>[-<step>|-pre|-post]`.
pub(crate) fn base_name(seen: &Seen<'_>, kind: Kind) -> String {
    let base = format!(
        "{}-{}-{}",
        seen.name(),
        seen.sets.hash,
        seen.sets.revision()
    );
    match kind {
        Kind::Background => base,
        Kind::Step(index) => format!("{base}-{index}"),
        Kind::PrePromotion => format!("{base}-pre"),
        Kind::PostPromotion => format!("{base}-post"),
    }
}

/// Which run of a kind it is: 0 for `base`, N for `base.N`; `None` for one of another kind or revision.
pub(crate) fn number(run: &AnalysisRun, base: &str) -> Option<u32> {
    match name(run).strip_prefix(base)? {
        "" => Some(0),
        rest => rest
            .strip_prefix('.')?
            .parse()
            .ok()
            .filter(|number| *number > 0),
    }
}

/// The attempt at the update that is under way; see [`names::ATTEMPT`].
pub(crate) fn attempt(status: &RolloutStatus) -> String {
    let steps = status.current_step_hash.as_deref().unwrap_or_default();
    match &status.aborted_at {
        Some(at) => format!("{steps}/{}", time::text(at.0)),
        None => steps.to_owned(),
    }
}

/// A new run, under the first name that is free.
///
/// # Errors
/// A template or an argument that cannot be resolved, with its field.
pub(crate) fn build(
    seen: &Seen<'_>,
    status: &RolloutStatus,
    kind: Kind,
    defined: &RolloutAnalysis,
) -> Result<AnalysisRun, FieldError> {
    let field = match kind {
        Kind::Background => "spec.strategy.canary.analysis".to_owned(),
        Kind::Step(index) => format!("spec.strategy.canary.steps[{index}].analysis"),
        Kind::PrePromotion => "spec.strategy.blueGreen.prePromotionAnalysis".to_owned(),
        Kind::PostPromotion => "spec.strategy.blueGreen.postPromotionAnalysis".to_owned(),
    };
    let args = arguments::resolve(seen, defined.args.as_deref().unwrap_or_default(), &field)?;
    let spec = build_run_spec(
        defined.templates.as_deref().unwrap_or_default(),
        seen.world.templates,
        &args,
        defined.dry_run.as_deref().unwrap_or_default(),
        defined.measurement_retention.as_deref().unwrap_or_default(),
    )
    .map_err(|error| {
        let error = error.under(&field);
        FieldError {
            field: error.field,
            message: error.message,
        }
    })?;
    let metadata = ObjectMeta {
        name: Some(free_name(seen, kind)),
        namespace: seen.world.rollout.metadata.namespace.clone(),
        labels: Some(labels(seen, kind, defined)),
        annotations: Some(annotations(seen, status, defined)),
        ..ObjectMeta::default()
    };
    Ok(AnalysisRun {
        metadata,
        spec,
        status: None,
    })
}

fn free_name(seen: &Seen<'_>, kind: Kind) -> String {
    let base = base_name(seen, kind);
    match seen
        .world
        .analysis_runs
        .iter()
        .filter_map(|run| number(run, &base))
        .max()
    {
        None => base,
        Some(last) => format!("{base}.{}", last.saturating_add(1)),
    }
}

fn labels(seen: &Seen<'_>, kind: Kind, defined: &RolloutAnalysis) -> BTreeMap<String, String> {
    let metadata = defined.analysis_run_metadata.as_ref();
    let mut labels = metadata
        .and_then(|metadata| metadata.labels.clone())
        .unwrap_or_default();
    let selector = seen.world.rollout.spec.selector.as_ref();
    labels.extend(
        selector
            .and_then(|selector| selector.match_labels.clone())
            .unwrap_or_default(),
    );
    let mut own = |key: &str, value: &str| labels.insert(key.to_owned(), value.to_owned());
    own(names::ROLLOUT_TYPE, kind.label());
    own(names::POD_TEMPLATE_HASH, &seen.sets.hash);
    if let Kind::Step(index) = kind {
        own(names::STEP_INDEX, &index.to_string());
    }
    if !seen.world.settings.instance_id.is_empty() {
        own(names::INSTANCE_ID, &seen.world.settings.instance_id);
    }
    labels
}

fn annotations(
    seen: &Seen<'_>,
    status: &RolloutStatus,
    defined: &RolloutAnalysis,
) -> BTreeMap<String, String> {
    let metadata = defined.analysis_run_metadata.as_ref();
    let mut annotations = metadata
        .and_then(|metadata| metadata.annotations.clone())
        .unwrap_or_default();
    annotations.insert(names::REVISION.to_owned(), seen.sets.revision().to_string());
    annotations.insert(names::ATTEMPT.to_owned(), attempt(status));
    annotations
}
