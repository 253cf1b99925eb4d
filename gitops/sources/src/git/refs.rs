//! From `targetRevision` to a commit, by what `git ls-remote` printed; and git's complaints in the words of
//! [`SourceError`].

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use super::constraint::Constraint;
use crate::error::SourceError;

/// One line of `git ls-remote`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ref {
    /// Full name: `refs/heads/main`, `HEAD`.
    pub(crate) name: String,
    /// The commit; an annotated tag is followed to it.
    pub(crate) commit: String,
}

/// Reads the output of `git ls-remote`.
pub(crate) fn parse(output: &str) -> Vec<Ref> {
    let mut refs: Vec<Ref> = Vec::new();
    for line in output.lines() {
        let Some((commit, name)) = line.split_once('\t') else {
            continue;
        };
        if !super::is_full_sha(commit) {
            continue;
        }
        match name.strip_suffix("^{}") {
            // The commit of an annotated tag follows the tag's own line.
            Some(tag) => {
                if let Some(tag) = refs.iter_mut().rev().find(|found| found.name == tag) {
                    commit.clone_into(&mut tag.commit);
                }
            }
            None => refs.push(Ref {
                name: name.to_owned(),
                commit: commit.to_owned(),
            }),
        }
    }
    refs
}

/// The ref that `revision` names: the highest tag of a version range, a full name, a branch, or a tag, in this order.
pub(crate) fn select<'a>(refs: &'a [Ref], revision: &str, tag_prefix: &str) -> Option<&'a Ref> {
    if let Some(constraint) = Constraint::parse(revision)
        && let Some(found) = highest(refs, &constraint, tag_prefix)
    {
        return Some(found);
    }
    let named = |name: String| refs.iter().find(|found| found.name == name);
    named(revision.to_owned())
        .or_else(|| named(format!("refs/{revision}")))
        .or_else(|| named(format!("refs/heads/{revision}")))
        .or_else(|| named(format!("refs/tags/{revision}")))
        .or_else(|| named(format!("refs/tags/{tag_prefix}{revision}")))
}

fn highest<'a>(refs: &'a [Ref], constraint: &Constraint, tag_prefix: &str) -> Option<&'a Ref> {
    refs.iter()
        .filter_map(|found| {
            let tag = found
                .name
                .strip_prefix("refs/tags/")?
                .strip_prefix(tag_prefix)?;
            let version = super::constraint::version(tag)?;
            constraint.matches(&version).then_some((version, found))
        })
        .max_by(|(a, x), (b, y)| a.cmp(b).then_with(|| x.name.cmp(&y.name)))
        .map(|(_, found)| found)
}

/// Puts git's failure into words.
pub(crate) fn classify(what: &str, url: &str, message: &str, status: ExitStatus) -> SourceError {
    let lower = message.to_ascii_lowercase();
    let has = |parts: &[&str]| parts.iter().any(|part| lower.contains(part));
    let (url, shown) = (url.to_owned(), message.to_owned());
    if has(&["signal 25", "file too large", "no space left"]) {
        return SourceError::TooLarge {
            what: format!("repository {url}"),
            limit: "one repository in the cache".into(),
        };
    }
    if has(&[
        "returned error: 30",
        "unable to update url base from redirection",
    ]) {
        return SourceError::InvalidRepositoryUrl {
            url,
            reason: "the server redirects, and credentials are not sent on; write the final URL"
                .into(),
        };
    }
    if has(&["host key verification failed"]) {
        return SourceError::AccessDenied {
            url,
            message: "the server's host key is not known; add it to the ConfigMap argocd-ssh-known-hosts-cm".into(),
        };
    }
    if has(&[
        "authentication failed",
        "could not read username",
        "could not read password",
        "terminal prompts disabled",
        "permission denied",
        "access denied",
        "returned error: 401",
        "returned error: 403",
        "invalid credentials",
    ]) {
        return SourceError::AccessDenied {
            url,
            message: shown,
        };
    }
    if has(&["returned error: 5", "returned error: 429"]) {
        return SourceError::RepositoryUnreachable {
            url,
            message: shown,
        };
    }
    if has(&[
        "repository not found",
        "not found",
        "returned error: 404",
        "does not appear to be a git repository",
        "not a git repository",
        "does not exist",
        "project you were looking for could not be found",
    ]) {
        return SourceError::RepositoryNotFound {
            url,
            message: shown,
        };
    }
    if has(&[
        "could not resolve host",
        "couldn't resolve host",
        "connection refused",
        "connection reset",
        "connection timed out",
        "failed to connect",
        "couldn't connect",
        "could not connect",
        "timed out",
        "network is unreachable",
        "no route to host",
        "operation too slow",
        "early eof",
        "hung up unexpectedly",
        "unexpected disconnect",
        "empty reply from server",
        "ssl",
        "gnutls",
        "could not read from remote repository",
        "rpc failed",
    ]) {
        return SourceError::RepositoryUnreachable {
            url,
            message: shown,
        };
    }
    let message = match status.signal() {
        Some(signal) => format!("{what} was killed by signal {signal}: {message}"),
        None => format!("{what}: {message}"),
    };
    SourceError::RenderFailed {
        tool: "git",
        message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sha(digit: char) -> String {
        std::iter::repeat_n(digit, 40).collect()
    }

    fn refs() -> Vec<Ref> {
        let lines = [
            (sha('0'), "HEAD"),
            (sha('0'), "refs/heads/main"),
            (sha('1'), "refs/heads/release/1.x"),
            (sha('9'), "refs/heads/both"),
            (sha('2'), "refs/tags/v1.0.0"),
            (sha('3'), "refs/tags/v1.2.0"),
            (sha('4'), "refs/tags/v1.2.0^{}"),
            (sha('5'), "refs/tags/v2.0.0-rc.1"),
            (sha('6'), "refs/tags/web-3.1.0"),
            (sha('7'), "refs/tags/both"),
        ];
        parse(&lines.map(|(sha, name)| format!("{sha}\t{name}\n")).concat())
    }

    fn commit(revision: &str, prefix: &str) -> Option<char> {
        let refs = refs();
        select(&refs, revision, prefix).and_then(|found| found.commit.chars().next())
    }

    #[test]
    fn names_are_found_in_full_and_short() {
        assert_eq!(commit("HEAD", ""), Some('0'));
        assert_eq!(commit("main", ""), Some('0'));
        assert_eq!(commit("refs/heads/main", ""), Some('0'));
        assert_eq!(commit("heads/main", ""), Some('0'));
        assert_eq!(commit("release/1.x", ""), Some('1'));
        assert_eq!(commit("v1.0.0", ""), Some('2'));
        assert_eq!(commit("nothing", ""), None);
    }

    #[test]
    fn an_annotated_tag_names_its_commit() {
        assert_eq!(commit("v1.2.0", ""), Some('4'));
    }

    #[test]
    fn a_branch_comes_before_a_tag_of_the_same_name() {
        assert_eq!(commit("both", ""), Some('9'));
    }

    #[test]
    fn a_range_names_the_highest_release_in_it() {
        assert_eq!(commit("^1.0.0", ""), Some('4'));
        assert_eq!(commit("1.0.*", ""), Some('2'));
        assert_eq!(commit("*", ""), Some('4'));
        assert_eq!(commit(">=2.0.0-0", ""), Some('5'));
        assert_eq!(commit(">=4", ""), None);
        assert_eq!(commit("3.x", "web-"), Some('6'));
    }

    #[test]
    fn complaints_of_git_are_told_apart() {
        let kind = |message: &str| {
            classify("git fetch", "u", message, ExitStatus::from_raw(128 << 8)).kind()
        };
        assert_eq!(
            kind("fatal: unable to access 'x': Could not resolve host: x"),
            "RepositoryUnreachable"
        );
        assert_eq!(
            kind("fatal: unable to access 'x': The requested URL returned error: 503"),
            "RepositoryUnreachable"
        );
        assert_eq!(
            kind("fatal: unable to access 'x': The requested URL returned error: 403"),
            "AccessDenied"
        );
        assert_eq!(
            kind("fatal: could not read Username for 'x': terminal prompts disabled"),
            "AccessDenied"
        );
        assert_eq!(
            kind("remote: Repository not found.\nfatal: repository 'x' not found"),
            "RepositoryNotFound"
        );
        assert_eq!(
            kind("fatal: unable to access 'x': The requested URL returned error: 302"),
            "InvalidRepositoryUrl"
        );
        assert_eq!(kind("fatal: something else"), "RenderFailed");
    }
}
