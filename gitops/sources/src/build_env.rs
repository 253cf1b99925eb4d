//! The variables that a rendering may use: `$ARGOCD_APP_NAME` and the like.

use std::collections::BTreeMap;

use crate::request::RenderRequest;

/// Variables by name.
#[derive(Debug, Clone, Default)]
pub(crate) struct BuildEnv(BTreeMap<&'static str, String>);

impl BuildEnv {
    /// The variables of a rendering.
    pub(crate) fn of(request: &RenderRequest) -> Self {
        let short = |length: usize| request.revision.chars().take(length).collect::<String>();
        let source = &request.source;
        Self(BTreeMap::from([
            ("ARGOCD_APP_NAME", request.application.name.clone()),
            // The namespace of the objects, not of the Application: this is what the name means upstream.
            (
                "ARGOCD_APP_NAMESPACE",
                request.destination_namespace.clone(),
            ),
            (
                "ARGOCD_APP_PROJECT_NAME",
                request.application.project.clone(),
            ),
            ("ARGOCD_APP_REVISION", request.revision.clone()),
            ("ARGOCD_APP_REVISION_SHORT", short(7)),
            ("ARGOCD_APP_REVISION_SHORT_8", short(8)),
            (
                "ARGOCD_APP_SOURCE_REPO_URL",
                crate::redact::Redactor::default().text(&source.repo_url),
            ),
            (
                "ARGOCD_APP_SOURCE_PATH",
                source.path.clone().unwrap_or_default(),
            ),
            (
                "ARGOCD_APP_SOURCE_TARGET_REVISION",
                source.target_revision.clone().unwrap_or_default(),
            ),
            ("KUBE_VERSION", request.kube_version.clone()),
            ("KUBE_API_VERSIONS", request.api_versions.join(",")),
        ]))
    }

    /// Replaces `$NAME` and `${NAME}`; `$$` is a dollar sign, an unknown name is empty.
    pub(crate) fn substitute(&self, text: &str) -> String {
        let mut result = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            result.push_str(before);
            rest = after;
            if let Some(after) = rest.strip_prefix('$') {
                result.push('$');
                rest = after;
            } else if let Some((name, after)) = rest
                .strip_prefix('{')
                .and_then(|inner| inner.split_once('}'))
            {
                result.push_str(self.get(name));
                rest = after;
            } else {
                let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
                let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
                let (name, after) = rest.split_at(end);
                if name.is_empty() {
                    result.push('$');
                } else {
                    result.push_str(self.get(name));
                }
                rest = after;
            }
        }
        result.push_str(rest);
        result
    }

    /// The variables for a child's environment.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(name, value)| (*name, value.as_str()))
    }

    fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced_and_dollars_are_escaped() {
        let env = BuildEnv(BTreeMap::from([("ARGOCD_APP_NAME", "web".to_owned())]));
        assert_eq!(env.substitute("a-$ARGOCD_APP_NAME.yaml"), "a-web.yaml");
        assert_eq!(env.substitute("${ARGOCD_APP_NAME}x$$y$NOPE."), "webx$y.");
        assert_eq!(env.substitute("100$ ${open"), "100$ ${open");
    }
}
