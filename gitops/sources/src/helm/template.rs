//! `helm template` on a chart in a checkout.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use sluice_crds::application::source::{HelmParameter, HelmSource};

use super::dependencies;
use super::values;
use crate::build_env::BuildEnv;
use crate::error::SourceError;
use crate::files::copy_tree;
use crate::git::tree::Tree;
use crate::manifest;
use crate::request::RenderRequest;
use crate::tool::{Tool, args};
use crate::workshop::Workshop;

/// Longest name of a release that helm accepts.
const RELEASE_NAME_LIMIT: usize = 53;

/// Renders the chart in `folder`, which lies in `tree`.
pub(crate) async fn render(
    shop: &Workshop,
    tree: &Tree,
    folder: &Path,
    settings: &HelmSource,
    request: &RenderRequest,
    references: &BTreeMap<String, Arc<Tree>>,
    warnings: &mut Vec<String>,
) -> Result<Vec<Value>, SourceError> {
    let release = release_name(settings, request)?;
    if let Some(version) = settings
        .version
        .as_deref()
        .filter(|version| !matches!(*version, "" | "v3"))
    {
        return Err(SourceError::Unsupported {
            field: "spec.source.helm.version".into(),
            reason: format!("{version:?} is not v3; the helm beside the controller is used"),
        });
    }
    let variables = BuildEnv::of(request);
    let mut tool = Tool::helm(shop)?
        .with_variables(&variables)
        .showing(tree.root.path());
    for reference in references.values() {
        tool = tool.showing(reference.root.path());
    }

    // Held until the end: the private copy is deleted with it.
    let copy;
    let missing = dependencies::missing(tree, folder, shop.config.limits.file_bytes)?;
    let chart: PathBuf = if missing.is_empty() {
        folder.to_owned()
    } else {
        copy = shop.temporary("chart")?;
        tool = tool.showing(copy.path());
        let inner = folder
            .strip_prefix(tree.root.path())
            .unwrap_or(Path::new(""))
            .to_owned();
        let (from, to, written) = (
            tree.root.path().to_owned(),
            copy.path().to_owned(),
            folder.to_owned(),
        );
        tokio::task::spawn_blocking(move || {
            copy_tree(&from, &to, &|path| path.starts_with(&written))
        })
        .await
        .map_err(|error| SourceError::Cache {
            message: error.to_string(),
        })?
        .map_err(|error| SourceError::cache("copying a checkout", &error))?;
        let chart = copy
            .path()
            .canonicalize()
            .unwrap_or_else(|_| copy.path().to_owned())
            .join(inner);
        dependencies::build(shop, tree, folder, &chart, &missing, request).await?;
        chart
    };

    let namespace = settings
        .namespace
        .as_deref()
        .filter(|namespace| !namespace.is_empty())
        .unwrap_or(&request.destination_namespace);
    let mut words = args(["template", ".", "--name-template"]);
    words.push(release.into());
    if !namespace.is_empty() {
        words.extend(["--namespace".into(), namespace.into()]);
    }
    let kube_version = settings
        .kube_version
        .as_deref()
        .filter(|version| !version.is_empty())
        .unwrap_or(&request.kube_version);
    if !kube_version.is_empty() {
        words.extend(["--kube-version".into(), kube_version.into()]);
    }
    for parameter in settings.parameters.iter().flatten() {
        words.extend(set(parameter, &variables));
    }
    let places = values::Places {
        tree,
        folder,
        references,
        variables: &variables,
    };
    for (index, parameter) in settings.file_parameters.iter().flatten().enumerate() {
        let field = format!("spec.source.helm.fileParameters[{index}]");
        let path = places.file(&format!("{field}.path"), &parameter.path)?;
        // helm would read `a=x,b=y` as two parameters, and fetch what looks like a URL.
        if parameter.name.contains(['=', ',']) {
            return Err(SourceError::invalid(
                format!("{field}.name"),
                "it contains `=` or `,`",
            ));
        }
        let mut word = OsString::from(format!("{}=", parameter.name));
        word.push(values::plain(&field, path)?);
        words.extend(["--set-file".into(), word]);
    }
    for path in places.value_files(settings)? {
        words.extend(["--values".into(), path.into_os_string()]);
    }
    if let Some(text) = values::inline(settings)? {
        let path = tool.private_file("values.yaml", &text)?;
        words.extend(["--values".into(), path.into_os_string()]);
    }
    let api_versions = settings
        .api_versions
        .as_ref()
        .filter(|versions| !versions.is_empty())
        .unwrap_or(&request.api_versions);
    for version in api_versions {
        words.extend(["--api-versions".into(), version.into()]);
    }
    let flag = |set: Option<bool>| set.unwrap_or(false);
    if !flag(settings.skip_crds) {
        words.push("--include-crds".into());
    }
    if flag(settings.skip_tests) {
        words.push("--skip-tests".into());
    }
    if flag(settings.skip_schema_validation) {
        words.push("--skip-schema-validation".into());
    }
    let _permit = shop.permit().await?;
    let output = tool.run(&chart, words).await?;
    manifest::from_tool("helm", &output, warnings)
}

fn release_name(settings: &HelmSource, request: &RenderRequest) -> Result<String, SourceError> {
    let (field, name) = match settings.release_name.as_deref() {
        Some(name) if !name.is_empty() => ("spec.source.helm.releaseName", name),
        _ => ("metadata.name", request.application.name.as_str()),
    };
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    if name.len() > RELEASE_NAME_LIMIT
        || !edge(name.chars().next())
        || !edge(name.chars().last())
        || !name.chars().all(inner)
    {
        return Err(SourceError::invalid(
            field,
            format!(
                "{name:?} cannot name a Helm release (lower-case letters, digits, `-` and `.`, at most \
                 {RELEASE_NAME_LIMIT} characters); set spec.source.helm.releaseName"
            ),
        ));
    }
    Ok(name.to_owned())
}

/// `--set` or `--set-string`. A comma in a value would begin another parameter, so it is escaped, except in a list
/// `{a,b}` and where it is escaped already.
fn set(parameter: &HelmParameter, variables: &BuildEnv) -> [OsString; 2] {
    let value = variables.substitute(&parameter.value);
    let value = if value.starts_with('{') && value.ends_with('}') {
        value
    } else {
        escape_commas(&value)
    };
    let flag = if parameter.force_string.unwrap_or(false) {
        "--set-string"
    } else {
        "--set"
    };
    [flag.into(), format!("{}={value}", parameter.name).into()]
}

fn escape_commas(value: &str) -> String {
    let mut result = String::with_capacity(value.len());
    let mut before = ' ';
    for c in value.chars() {
        if c == ',' && before != '\\' {
            result.push('\\');
        }
        result.push(c);
        before = c;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_are_escaped_once_and_lists_stay() {
        let word = |value: &str| {
            let parameter = HelmParameter {
                name: "a".into(),
                value: value.into(),
                force_string: None,
            };
            set(&parameter, &BuildEnv::default())[1]
                .to_string_lossy()
                .into_owned()
        };
        assert_eq!(word("x,y"), r"a=x\,y");
        assert_eq!(word(r"x\,y"), r"a=x\,y");
        assert_eq!(word("{x,y}"), "a={x,y}");
    }
}
