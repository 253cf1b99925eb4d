//! Keeps secrets and random paths out of messages.
//!
//! Input: text that a child process printed. Output: the same text with every known secret, every `user:password@`
//! of a URL and every path of the cache replaced, and shortened to what fits a status condition.

use std::path::Path;
use std::sync::LazyLock;

use base64::Engine as _;
use regex::Regex;

use crate::access::Credentials;

/// What stands in the place of a secret.
pub const REDACTED: &str = "[redacted]";

/// Longest message kept from a child process, in bytes.
const MESSAGE_LIMIT: usize = 2048;

/// Secrets shorter than this are not searched for: replacing every `a` would destroy the message and say what the
/// secret is.
const SHORTEST_SECRET: usize = 4;

static URL_USERINFO: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)[^/\s@]+@").ok());
static AUTHORIZATION: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?i)(?P<name>authorization:\s*\w+\s+)\S+").ok());

/// Replaces secrets and paths in text.
#[derive(Debug, Default, Clone)]
pub struct Redactor {
    replacements: Vec<(String, String)>,
}

impl Redactor {
    /// Knows the secrets of `credentials` in every spelling in which a tool may print them.
    #[must_use]
    pub fn new(credentials: &Credentials) -> Self {
        let mut redactor = Self::default();
        for secret in credentials.secrets() {
            redactor.hide(secret);
        }
        if let Some(password) = &credentials.password {
            let user = credentials.username.as_deref().unwrap_or_default();
            let pair = format!("{user}:{}", password.reveal());
            redactor.hide(&base64::engine::general_purpose::STANDARD.encode(pair));
        }
        redactor
    }

    /// Also hides `secret`, and each line of it when it has several.
    pub fn hide(&mut self, secret: &str) {
        let spellings = [secret.to_owned(), percent_encoded(secret)];
        let lines = secret
            .lines()
            .filter(|line| !line.starts_with("-----"))
            .map(str::to_owned);
        for spelling in spellings.into_iter().chain(lines) {
            let spelling = spelling.trim();
            if spelling.len() >= SHORTEST_SECRET {
                self.replacements
                    .push((spelling.to_owned(), REDACTED.to_owned()));
            }
        }
        // Longest first: a secret may hold another.
        self.replacements
            .sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
    }

    /// Also shows paths below `path` as paths below `name`; an empty name shows them as relative paths.
    pub fn rename_path(&mut self, path: &Path, name: &str) {
        let Some(path) = path.to_str().filter(|path| path.len() > 1) else {
            return;
        };
        if name.is_empty() {
            self.replacements.push((format!("{path}/"), String::new()));
        }
        let shown = if name.is_empty() { "." } else { name };
        self.replacements.push((path.to_owned(), shown.to_owned()));
        self.replacements
            .sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
    }

    /// The text without secrets, on few lines, and short enough for a status condition.
    #[must_use]
    pub fn message(&self, text: &str) -> String {
        let mut clean = self.text(text);
        let lines: Vec<&str> = clean
            .lines()
            .map(str::trim_end)
            .filter(|line| !line.is_empty())
            .collect();
        clean = lines.join("\n");
        if clean.len() > MESSAGE_LIMIT {
            // The last lines hold the reason: tools print what they do first and what failed at the end.
            let mut start = clean.len() - MESSAGE_LIMIT;
            while !clean.is_char_boundary(start) {
                start += 1;
            }
            clean = format!("… {}", &clean[start..]);
        }
        clean
    }

    /// The text without secrets.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        let mut clean = text.to_owned();
        for (secret, shown) in &self.replacements {
            if clean.contains(secret.as_str()) {
                clean = clean.replace(secret.as_str(), shown);
            }
        }
        if let Some(pattern) = URL_USERINFO.as_ref() {
            clean = pattern.replace_all(&clean, "${scheme}").into_owned();
        }
        if let Some(pattern) = AUTHORIZATION.as_ref() {
            clean = pattern
                .replace_all(&clean, format!("${{name}}{REDACTED}"))
                .into_owned();
        }
        clean
    }
}

fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Secret;

    #[test]
    fn a_password_is_hidden_plain_encoded_and_in_a_header() {
        let credentials = Credentials {
            username: Some("bot".into()),
            password: Some(Secret::new("p@ss/word")),
            ..Credentials::default()
        };
        let redactor = Redactor::new(&credentials);
        let header = base64::engine::general_purpose::STANDARD.encode("bot:p@ss/word");
        let text = redactor.message(&format!(
            "fatal: p@ss/word https://bot:p%40ss%2Fword@host/x Authorization: Basic {header}"
        ));
        assert!(!text.contains("ss/word") && !text.contains("p%40ss") && !text.contains(&header));
        assert!(text.contains("https://host/x"), "{text}");
    }

    #[test]
    fn the_lines_of_a_private_key_are_hidden_each() {
        let credentials = Credentials {
            ssh_private_key: Some(Secret::new(
                "-----BEGIN KEY-----\nAAAABBBB\nCCCCDDDD\n-----END KEY-----\n",
            )),
            ..Credentials::default()
        };
        let text = Redactor::new(&credentials).message("line CCCCDDDD is bad");
        assert_eq!(text, "line [redacted] is bad");
    }

    #[test]
    fn paths_of_the_cache_become_relative() {
        let mut redactor = Redactor::default();
        redactor.rename_path(Path::new("/cache/trees/17"), "");
        assert_eq!(
            redactor.message("open /cache/trees/17/apps/web: no"),
            "open apps/web: no"
        );
        assert_eq!(redactor.message("in '/cache/trees/17'"), "in '.'");
    }

    #[test]
    fn a_long_message_keeps_its_end() {
        let text = format!("{}the reason", "x".repeat(9000));
        let message = Redactor::default().message(&text);
        assert!(message.len() < 2100 && message.ends_with("the reason"));
    }
}
