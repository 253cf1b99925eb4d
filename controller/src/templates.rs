//! Analysis templates out of the caches: those that are named, and those that they name.

use std::collections::BTreeSet;
use std::sync::Arc;

use sluice_analysis::Templates;
use sluice_crds::analysis::{AnalysisTemplate, AnalysisTemplateRef, ClusterAnalysisTemplate};
use sluice_crds::decode::DecodeError;
use sluice_runtime::{Cache, Key};

/// Reads every template that is reached from `open`. One that does not exist or cannot be read is not among them.
pub(crate) fn read(
    namespaced: &Arc<Cache>,
    of_cluster: &Arc<Cache>,
    mut open: Vec<AnalysisTemplateRef>,
    namespace: &str,
) -> Templates {
    let mut templates = Templates::new();
    let mut seen = BTreeSet::new();
    while let Some(next) = open.pop() {
        let cluster = next.cluster_scope == Some(true);
        let name = next.template_name.unwrap_or_default();
        if !seen.insert((cluster, name.clone())) {
            continue;
        }
        let (cache, key) = if cluster {
            (of_cluster, Key::new("", &name))
        } else {
            (namespaced, Key::new(namespace, &name))
        };
        let Some(cached) = cache.get(&key) else {
            continue;
        };
        let problem = |error: &DecodeError| {
            tracing::warn!(kind = %cache.kind(), template = %key, %error, "the template cannot be read");
        };
        if cluster {
            match cached.decode::<ClusterAnalysisTemplate>() {
                Ok(template) => {
                    open.extend(template.spec.templates.iter().flatten().cloned());
                    templates.insert_cluster(name, template.spec);
                }
                Err(error) => problem(&error),
            }
        } else {
            match cached.decode::<AnalysisTemplate>() {
                Ok(template) => {
                    open.extend(template.spec.templates.iter().flatten().cloned());
                    templates.insert(name, template.spec);
                }
                Err(error) => problem(&error),
            }
        }
    }
    templates
}
