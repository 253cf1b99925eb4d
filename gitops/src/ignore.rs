//! `spec.ignoreDifferences`: fields whose difference does not count.

use serde_json::Value;
use sluice_crds::application::IgnoreDifferences;

use crate::field_path::FieldPath;
use crate::glob;
use crate::key::Key;
use crate::managed_fields;

/// The rules of an Application, ready for use.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rules {
    rules: Vec<Rule>,
    errors: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
struct Rule {
    group: String,
    kind: String,
    name: String,
    namespace: String,
    paths: Vec<FieldPath>,
    managers: Vec<String>,
}

impl Rules {
    /// Reads the rules. Paths that are not understood are kept as [`Rules::errors`]; the others hold.
    #[must_use]
    pub fn new(written: &[IgnoreDifferences]) -> Self {
        let mut errors = Vec::new();
        let mut rules = Vec::new();
        for (index, entry) in written.iter().enumerate() {
            let pointers = entry
                .json_pointers
                .iter()
                .flatten()
                .enumerate()
                .map(|(at, text)| (format!("jsonPointers[{at}]"), FieldPath::pointer(text)));
            let expressions = entry
                .jq_path_expressions
                .iter()
                .flatten()
                .enumerate()
                .map(|(at, text)| (format!("jqPathExpressions[{at}]"), FieldPath::jq(text)));
            let mut paths = Vec::new();
            for (field, parsed) in pointers.chain(expressions) {
                match parsed {
                    Ok(path) => paths.push(path),
                    Err(error) => {
                        errors.push(format!("spec.ignoreDifferences[{index}].{field}: {error}"));
                    }
                }
            }
            rules.push(Rule {
                group: entry.group.clone().unwrap_or_default(),
                kind: entry.kind.clone(),
                name: entry.name.clone().unwrap_or_default(),
                namespace: entry.namespace.clone().unwrap_or_default(),
                paths,
                managers: entry.managed_fields_managers.clone().unwrap_or_default(),
            });
        }
        Self { rules, errors }
    }

    /// One sentence for each path that was not understood; it names the field and the expression.
    #[must_use]
    pub fn errors(&self) -> &[String] {
        &self.errors
    }

    fn of<'a>(&'a self, key: &'a Key) -> impl Iterator<Item = &'a Rule> {
        self.rules.iter().filter(move |rule| {
            glob::matches(&rule.group, &key.kind.group, None)
                && glob::matches(&rule.kind, &key.kind.kind, None)
                && (rule.name.is_empty() || rule.name == key.name)
                && (rule.namespace.is_empty() || rule.namespace == key.namespace)
        })
    }

    /// Removes from `object` what does not count. `live` says who owns which field.
    pub fn strip(&self, key: &Key, live: &Value, object: &mut Value) {
        for rule in self.of(key) {
            for path in &rule.paths {
                path.remove_from(object);
            }
            if !rule.managers.is_empty() {
                managed_fields::remove_owned(live, &rule.managers, object);
            }
        }
    }

    /// Makes `target` keep the live values of fields that do not count (`RespectIgnoreDifferences=true`).
    pub fn keep_live(&self, key: &Key, live: &Value, target: &mut Value) {
        for rule in self.of(key) {
            for path in &rule.paths {
                path.copy(live, target);
            }
            if !rule.managers.is_empty() {
                managed_fields::copy_owned(live, &rule.managers, target);
            }
        }
        if let Some(fields) = target.as_object_mut() {
            fields.remove("status");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rules(text: &str) -> Rules {
        let value: Value = serde_saphyr::from_str(text).unwrap();
        Rules::new(&serde_json::from_value::<Vec<IgnoreDifferences>>(value).unwrap())
    }

    #[test]
    fn rules_hold_for_the_objects_that_they_name() {
        for (rule, holds) in [
            (
                "[{group: apps, kind: Deployment, jsonPointers: [/spec/replicas]}]",
                true,
            ),
            (
                "[{group: '*', kind: '*', jsonPointers: [/spec/replicas]}]",
                true,
            ),
            (
                "[{kind: Deployment, jsonPointers: [/spec/replicas]}]",
                false,
            ),
            (
                "[{group: apps, kind: Deployment, name: web, jsonPointers: [/spec/replicas]}]",
                true,
            ),
            (
                "[{group: apps, kind: Deployment, name: api, jsonPointers: [/spec/replicas]}]",
                false,
            ),
            (
                "[{group: apps, kind: Deployment, namespace: other, jsonPointers: [/spec/replicas]}]",
                false,
            ),
            (
                "[{group: apps, kind: Deployment, managedFieldsManagers: [hpa]}]",
                true,
            ),
        ] {
            let key = Key::new("apps", "Deployment", "shop", "web");
            let live = json!({
                "metadata": {"managedFields": [{"manager": "hpa", "fieldsV1": {"f:spec": {"f:replicas": {}}}}]},
                "spec": {"replicas": 5},
            });
            let mut object = live.clone();
            rules(rule).strip(&key, &live, &mut object);
            assert_eq!(object["spec"].get("replicas").is_none(), holds, "{rule}");
        }
    }

    #[test]
    fn a_path_that_is_not_understood_is_named_and_the_others_hold() {
        let rules = rules(
            "[{group: apps, kind: Deployment, jsonPointers: [/spec/replicas], jqPathExpressions: ['.a | keys']}]",
        );
        assert_eq!(rules.errors().len(), 1);
        assert!(
            rules.errors()[0]
                .starts_with("spec.ignoreDifferences[0].jqPathExpressions[0]: \".a | keys\"")
        );
        let mut object = json!({"spec": {"replicas": 1}});
        rules.strip(
            &Key::new("apps", "Deployment", "", "web"),
            &json!({}),
            &mut object,
        );
        assert_eq!(object, json!({"spec": {}}));
    }
}
