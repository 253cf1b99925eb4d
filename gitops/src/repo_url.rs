//! Comparing repository URLs.
//!
//! Two forms: the one that projects' globs are matched against ([`normalize`]), and the one that says whether a
//! webhook speaks about the repository of an Application ([`same_repository`]), which forgets the protocol and the
//! user as well: a push is announced by its web address, and fetched by ssh.

/// Lower case, no `.git` at the end, and `git@host:path` as `git@host/path`.
#[must_use]
pub fn normalize(url: &str) -> String {
    let mut text = url.trim().to_lowercase();
    if !text.contains("://")
        && let Some((authority, path)) = text.split_once(':')
        && authority.contains('@')
    {
        text = format!("{authority}/{path}");
    }
    let text = text.strip_prefix("ssh://").unwrap_or(&text);
    text.strip_suffix(".git").unwrap_or(text).to_owned()
}

/// Whether two URLs name the same repository, however it is reached.
#[must_use]
pub fn same_repository(one: &str, other: &str) -> bool {
    let one = place(one);
    !one.is_empty() && one == place(other)
}

/// `host/path` of a URL: no protocol, user, port or `.git`.
fn place(url: &str) -> String {
    let text = url.trim().to_lowercase();
    let (has_scheme, rest) = match text.split_once("://") {
        Some((_, rest)) => (true, rest),
        None => (false, text.as_str()),
    };
    let rest = rest.trim_start_matches('/');
    let authority_end = rest.find(if has_scheme {
        &['/'][..]
    } else {
        &['/', ':'][..]
    });
    let (authority, path) = match authority_end {
        Some(at) => (
            rest.get(..at).unwrap_or(""),
            rest.get(at + 1..).unwrap_or(""),
        ),
        None => (rest, ""),
    };
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    let host = host.split_once(':').map_or(host, |(host, _)| host);
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    if host.is_empty() {
        String::new()
    } else {
        format!("{host}/{path}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_repository_compare_equal() {
        let https = "https://git.example.com/team/app";
        for other in [
            "https://git.example.com/team/app.git",
            "https://git.example.com/team/app/",
            "http://git.example.com:8080/Team/App.git",
            "https://token@git.example.com/team/app.git",
            "git@git.example.com:team/app.git",
            "ssh://git@git.example.com:22/team/app.git",
        ] {
            assert!(same_repository(https, other), "{other}");
        }
        for other in [
            "https://git.example.com/team/app2",
            "https://git.example.org/team/app",
            "",
        ] {
            assert!(!same_repository(https, other), "{other}");
        }
        assert!(!same_repository("", ""));
    }

    #[test]
    fn globs_see_one_form() {
        for (url, expected) in [
            (
                "https://Git.example.com/team/app.git",
                "https://git.example.com/team/app",
            ),
            (
                "git@git.example.com:team/app.git",
                "git@git.example.com/team/app",
            ),
            (
                "ssh://git@git.example.com/team/app",
                "git@git.example.com/team/app",
            ),
            ("https://git.example.com/*", "https://git.example.com/*"),
        ] {
            assert_eq!(normalize(url), expected);
        }
    }
}
