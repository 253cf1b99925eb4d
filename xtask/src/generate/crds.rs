//! The CustomResourceDefinitions as YAML: for `kubectl apply --server-side -f crds/yaml`, and as a chart of their own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

const HEADER: &str = "# Made from crds/src by `cargo xtask gen`. Change it there.\n";

/// Two files for each definition.
pub(super) fn files() -> Result<BTreeMap<PathBuf, String>> {
    let mut files = BTreeMap::new();
    for crd in sluice_crds::crd::all() {
        let name = format!("{}.yaml", crd.spec.names.plural);
        let value = serde_json::to_value(&crd)?;
        let yaml =
            serde_saphyr::to_string(&value).with_context(|| format!("write {name} as YAML"))?;
        let read: Value =
            serde_saphyr::from_str(&yaml).with_context(|| format!("read {name} again"))?;
        anyhow::ensure!(
            read == value,
            "{name} is not the same when it is read again"
        );
        // Helm would take these braces for a template of its own.
        let escaped = yaml.replace("{{", "{{ \"{{\" }}");
        files.insert(
            Path::new("crds/yaml").join(&name),
            format!("{HEADER}{yaml}"),
        );
        let chart = Path::new("charts/sluice-crds/templates").join(&name);
        files.insert(chart, format!("{HEADER}{escaped}"));
    }
    Ok(files)
}
