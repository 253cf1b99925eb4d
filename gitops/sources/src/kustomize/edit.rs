//! `source.kustomize` as edits of the kustomization, with kustomize's own `edit` commands, so that they merge with what
//! the file has as they do for a person at a terminal.

use std::ffi::OsString;
use std::path::Path;

use serde_json::{Value, json};
use sluice_crds::IntOrString;
use sluice_crds::application::KustomizeSource;

use crate::beneath::Root;
use crate::build_env::BuildEnv;
use crate::detect::KUSTOMIZATIONS;
use crate::error::SourceError;
use crate::tool::{Tool, args};
use crate::yaml;

/// One edit.
pub(super) enum Edit {
    /// `kustomize edit …`
    Command(Vec<OsString>),
    /// Patches and components, which `kustomize edit` cannot add as the API writes them.
    File,
}

/// The edits that `settings` ask for, in the order of Argo CD.
pub(super) fn plan(
    settings: &KustomizeSource,
    variables: &BuildEnv,
) -> Result<Vec<Edit>, SourceError> {
    let mut edits = Vec::new();
    let mut command = |head: &[&str], values: Vec<String>| {
        // After `--` a value cannot be an option.
        let words = head
            .iter()
            .map(|word| (*word).to_owned())
            .chain(["--".to_owned()])
            .chain(values);
        edits.push(Edit::Command(words.map(OsString::from).collect()));
    };
    let set = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());

    if let Some(prefix) = set(&settings.name_prefix) {
        command(&["edit", "set", "nameprefix"], vec![prefix]);
    }
    if let Some(suffix) = set(&settings.name_suffix) {
        command(&["edit", "set", "namesuffix"], vec![suffix]);
    }
    if let Some(images) = settings.images.as_ref().filter(|images| !images.is_empty()) {
        let images = images
            .iter()
            .map(|image| variables.substitute(image))
            .collect();
        command(&["edit", "set", "image"], images);
    }
    if let Some(replicas) = settings
        .replicas
        .as_ref()
        .filter(|replicas| !replicas.is_empty())
    {
        let mut values = Vec::new();
        for (index, entry) in replicas.iter().enumerate() {
            let count = match &entry.count {
                IntOrString::Int(count) => count.to_string(),
                IntOrString::String(count) => variables.substitute(count),
            };
            if count.parse::<u32>().is_err() {
                return Err(SourceError::invalid(
                    format!("spec.source.kustomize.replicas[{index}].count"),
                    format!("{count:?} is not a number of pods"),
                ));
            }
            values.push(format!("{}={count}", entry.name));
        }
        command(&["edit", "set", "replicas"], values);
    }
    if let Some(labels) = settings
        .common_labels
        .as_ref()
        .filter(|labels| !labels.is_empty())
    {
        let mut head = vec!["edit", "add", "label"];
        if settings.force_common_labels.unwrap_or(false) {
            head.push("--force");
        }
        if settings.label_without_selector.unwrap_or(false) {
            head.push("--without-selector");
        }
        if settings.label_include_templates.unwrap_or(false) {
            head.push("--include-templates");
        }
        let labels = labels
            .iter()
            .map(|(key, value)| format!("{key}:{}", variables.substitute(value)));
        command(&head, labels.collect());
    }
    if let Some(annotations) = settings
        .common_annotations
        .as_ref()
        .filter(|map| !map.is_empty())
    {
        let mut head = vec!["edit", "add", "annotation"];
        if settings.force_common_annotations.unwrap_or(false) {
            head.push("--force");
        }
        let substitute = settings.common_annotations_envsubst.unwrap_or(false);
        let annotations = annotations.iter().map(|(key, value)| {
            let value = if substitute {
                variables.substitute(value)
            } else {
                value.clone()
            };
            format!("{key}:{value}")
        });
        command(&head, annotations.collect());
    }
    if let Some(namespace) = set(&settings.namespace) {
        command(&["edit", "set", "namespace"], vec![namespace]);
    }
    let filled = |length: Option<usize>| length.is_some_and(|length| length > 0);
    if filled(settings.patches.as_ref().map(Vec::len))
        || filled(settings.components.as_ref().map(Vec::len))
    {
        edits.push(Edit::File);
    }
    Ok(edits)
}

/// Applies edits to the kustomization in `folder`, a private copy beneath `root`.
pub(super) async fn apply(
    tool: &Tool<'_>,
    root: &Root,
    folder: &Path,
    settings: &KustomizeSource,
    edits: Vec<Edit>,
) -> Result<(), SourceError> {
    unlink(folder)?;
    for edit in edits {
        match edit {
            Edit::Command(words) => {
                tool.run(folder, words).await?;
            }
            Edit::File => append(tool, root, folder, settings).await?,
        }
    }
    Ok(())
}

/// Makes sure that the kustomization is a file of the copy and not a link to one elsewhere in it, which may be shared.
fn unlink(folder: &Path) -> Result<(), SourceError> {
    for path in KUSTOMIZATIONS.map(|name| folder.join(name)) {
        let is_link = path
            .symlink_metadata()
            .is_ok_and(|metadata| metadata.is_symlink());
        if is_link {
            let replaced = std::fs::read(&path).and_then(|content| {
                std::fs::remove_file(&path)?;
                std::fs::write(&path, content)
            });
            replaced.map_err(|error| SourceError::cache("copying a kustomization", &error))?;
        }
    }
    Ok(())
}

/// Appends patches and components to the file. It is written as JSON, which is YAML too.
async fn append(
    tool: &Tool<'_>,
    root: &Root,
    folder: &Path,
    settings: &KustomizeSource,
) -> Result<(), SourceError> {
    if !KUSTOMIZATIONS
        .iter()
        .any(|name| folder.join(name).is_file())
    {
        // As `kustomize edit` itself would say.
        tool.run(folder, args(["edit", "fix"])).await?;
    }
    let Some(path) = KUSTOMIZATIONS
        .map(|name| folder.join(name))
        .into_iter()
        .find(|path| path.is_file())
    else {
        return Ok(());
    };
    let shown = root.shown(&path);
    let text = crate::files::read_text(&path, &shown, 10 << 20)?;
    let mut file =
        yaml::parse_one(&text).map_err(|error| SourceError::invalid(&shown, error.to_string()))?;
    if file.is_null() {
        file = json!({});
    }
    let Some(map) = file.as_object_mut() else {
        return Err(SourceError::invalid(&shown, "it is not a map"));
    };
    let mut extend = |field: &str, values: Vec<Value>| -> Result<(), SourceError> {
        let list = map.entry(field).or_insert_with(|| json!([]));
        if list.is_null() {
            *list = json!([]);
        }
        match list.as_array_mut() {
            Some(list) => {
                list.extend(values);
                Ok(())
            }
            None => Err(SourceError::invalid(
                format!("{shown}: {field}"),
                "it is not a list",
            )),
        }
    };
    let patches: Vec<Value> = settings
        .patches
        .iter()
        .flatten()
        .map(serde_json::to_value)
        .collect::<Result<_, _>>()
        .map_err(|error| {
            SourceError::invalid("spec.source.kustomize.patches", error.to_string())
        })?;
    if !patches.is_empty() {
        extend("patches", patches)?;
    }
    let ignore_missing = settings.ignore_missing_components.unwrap_or(false);
    let mut components = Vec::new();
    for (index, component) in settings.components.iter().flatten().enumerate() {
        let found = root.resolve_from(folder, component);
        match found {
            Err(crate::beneath::Refusal::Missing(_)) if ignore_missing => continue,
            Err(refusal) => {
                let field = format!("spec.source.kustomize.components[{index}]");
                return Err(refusal.into_error(field, component));
            }
            Ok(_) => components.push(json!(component)),
        }
    }
    if !components.is_empty() {
        extend("components", components)?;
    }
    std::fs::write(&path, file.to_string())
        .map_err(|error| SourceError::cache("writing a kustomization", &error))
}
