//! Sentences about effects, for the decision log.

use sluice_gitops::application::AppEffect;

/// One sentence about an effect; no content of objects.
pub(crate) fn effect(effect: &AppEffect) -> String {
    match effect {
        AppEffect::Apply(apply) => {
            let verb = if apply.replace { "replace" } else { "apply" };
            let dry = if apply.dry_run { " (dry run)" } else { "" };
            format!("{verb} {}{dry}", apply.key)
        }
        AppEffect::Delete { key, .. } => format!("delete {key}"),
    }
}
