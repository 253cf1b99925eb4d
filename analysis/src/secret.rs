//! Values of Secrets, on their way from the API to a provider and nowhere else.

use std::collections::BTreeMap;
use std::fmt;

/// What stands in place of a secret value in anything that people or other tools read.
pub const REDACTED: &str = "*****";

/// Secret values by argument name. `Debug` shows the names only; there is no `Display` and no serialization.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SecretValues(BTreeMap<String, String>);

impl SecretValues {
    /// No values.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the value of an argument.
    pub fn insert(&mut self, argument: impl Into<String>, value: impl Into<String>) {
        self.0.insert(argument.into(), value.into());
    }

    /// The value of an argument, in clear.
    #[must_use]
    pub fn reveal(&self, argument: &str) -> Option<&str> {
        self.0.get(argument).map(String::as_str)
    }

    /// Names of the arguments.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The text with every secret value replaced by `*****`; where several begin at one place, the longest counts. An
    /// empty value has nothing to hide.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        let mut shown = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(next) = rest.chars().next() {
            let secret = self
                .0
                .values()
                .filter(|value| !value.is_empty() && rest.starts_with(value.as_str()))
                .map(String::len)
                .max();
            let skip = if let Some(length) = secret {
                shown.push_str(REDACTED);
                length
            } else {
                shown.push(next);
                next.len_utf8()
            };
            rest = rest.get(skip..).unwrap_or_default();
        }
        shown
    }
}

impl<A: Into<String>, V: Into<String>> FromIterator<(A, V)> for SecretValues {
    fn from_iter<I: IntoIterator<Item = (A, V)>>(values: I) -> Self {
        let mut secrets = Self::new();
        for (argument, value) in values {
            secrets.insert(argument, value);
        }
        secrets
    }
}

impl fmt::Debug for SecretValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.0.keys().map(|name| (name, REDACTED)))
            .finish()
    }
}
