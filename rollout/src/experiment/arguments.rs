//! Arguments of an analysis, as the Experiment gives them: values with what is known about the templates put in, fields
//! of the Experiment, and Secrets, which are left to the run.

use std::collections::BTreeMap;

use sluice_crds::analysis::Argument;
use sluice_crds::duration;

use super::decide::Seen;
use super::draft::instant;
use super::templates;
use crate::arguments::at;
use crate::time;

/// Gives every argument its value.
///
/// # Errors
/// A tag that means nothing, or a field that the Experiment does not have; in words.
pub(super) fn resolve(seen: &Seen<'_>, args: &[Argument]) -> Result<Vec<Argument>, String> {
    let tags = tags(seen);
    let mut object = None;
    let mut resolved = Vec::new();
    for argument in args {
        let field = argument
            .value_from
            .as_ref()
            .and_then(|from| from.field_ref.as_ref());
        let mut argument = argument.clone();
        if let Some(value) = &argument.value {
            argument.value = Some(replace(value, &tags)?);
            argument.value_from = None;
        } else if let Some(field) = field {
            let object = object.get_or_insert_with(|| {
                serde_json::to_value(seen.world.experiment).unwrap_or_default()
            });
            let value = at(object, &field.field_path)
                .ok_or_else(|| format!("the Experiment has no field {:?}", field.field_path))?;
            argument.value = Some(value);
            argument.value_from = None;
        }
        if argument.value.is_some() || argument.value_from.is_some() {
            resolved.push(argument);
        }
    }
    Ok(resolved)
}

/// What stands for `templates.<name>.podTemplateHash` and its like.
fn tags(seen: &Seen<'_>) -> BTreeMap<String, String> {
    let mut tags = BTreeMap::new();
    let status = seen.world.experiment.status.as_ref();
    if let Some(available) = status.and_then(|status| instant(status.available_at.as_ref())) {
        tags.insert("experiment.availableAt".to_owned(), time::text(available));
        let duration = seen.spec.duration.as_deref().map(duration::parse);
        if let Some(Ok(duration)) = duration {
            let end = time::plus(available, duration);
            tags.insert("experiment.finishedAt".to_owned(), time::text(end));
        }
    }
    for template in seen.spec.templates.iter().flatten() {
        if let Some(set) = templates::set_of(seen, &template.name) {
            let name = &template.name;
            let hash = set.hash().unwrap_or_default().to_owned();
            tags.insert(format!("templates.{name}.podTemplateHash"), hash);
            tags.insert(
                format!("templates.{name}.replicaset.name"),
                set.name.clone(),
            );
        }
    }
    tags
}

/// Puts the values of tags into a text. What is put in is not searched again.
fn replace(text: &str, tags: &BTreeMap<String, String>) -> Result<String, String> {
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        replaced.push_str(before);
        let Some((tag, after)) = after.split_once("}}") else {
            return Err(format!("{{{{ without }}}} in {text:?}"));
        };
        match tags.get(tag.trim()) {
            Some(value) => replaced.push_str(value),
            None => return Err(format!("failed to resolve {{{{{tag}}}}}")),
        }
        rest = after;
    }
    replaced.push_str(rest);
    Ok(replaced)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_replaced_once_and_unknown_ones_are_errors() {
        let tags = BTreeMap::from([
            ("experiment.availableAt".to_owned(), "{{x}}".to_owned()),
            ("templates.a.podTemplateHash".to_owned(), "abc".to_owned()),
        ]);
        let replace = |text: &str| replace(text, &tags);
        assert_eq!(
            replace("{{ templates.a.podTemplateHash }}-1").as_deref(),
            Ok("abc-1")
        );
        assert_eq!(
            replace("{{experiment.availableAt}}").as_deref(),
            Ok("{{x}}")
        );
        assert_eq!(replace("plain").as_deref(), Ok("plain"));
        assert_eq!(
            replace("{{templates.b.podTemplateHash}}"),
            Err("failed to resolve {{templates.b.podTemplateHash}}".to_owned())
        );
        assert!(replace("{{open").is_err());
    }
}
