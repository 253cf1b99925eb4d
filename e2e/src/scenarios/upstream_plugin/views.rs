//! What `get` and `list` of two plugins print, without what depends on the moment. Pure.

use std::fmt::Debug;

use anyhow::{Result, ensure};

/// The lines of the header, up to the first empty one, as they are.
pub(super) fn header(text: &str) -> Vec<String> {
    text.lines()
        .map(|line| line.trim_end().to_owned())
        .take_while(|line| !line.is_empty())
        .collect()
}

/// The rows of the tree, which follows the header; what stands below the tree is left out.
pub(super) fn tree(text: &str) -> Vec<Vec<String>> {
    let filled = |line: &&str| !line.trim().is_empty();
    text.lines()
        .skip_while(filled)
        .skip(1)
        .take_while(filled)
        .map(words)
        .collect()
}

/// The rows of a table.
pub(super) fn rows(text: &str) -> Vec<Vec<String>> {
    text.lines().map(words).collect()
}

/// The words of a row, without ages and without the time that a delay still has.
fn words(line: &str) -> Vec<String> {
    line.split_whitespace()
        .filter(|word| !is_age(word))
        .map(|word| {
            word.split(',')
                .map(|part| {
                    if part.starts_with("delay:") {
                        "delay"
                    } else {
                        part
                    }
                })
                .collect::<Vec<_>>()
                .join(",")
        })
        .collect()
}

/// As in `48s`, `2m30s`, `1d`.
fn is_age(word: &str) -> bool {
    word.starts_with(|first: char| first.is_ascii_digit())
        && word.ends_with(['s', 'm', 'h', 'd', 'y'])
        && word
            .chars()
            .all(|one| one.is_ascii_digit() || "smhdy".contains(one))
}

/// Whether both are the same; the error shows the rows that only one of them has.
///
/// # Errors
/// When they differ.
pub(super) fn same<T: PartialEq + Debug>(theirs: &[T], ours: &[T]) -> Result<()> {
    let beyond = |some: &[T], others: &[T]| -> String {
        some.iter()
            .filter(|row| !others.contains(row))
            .map(|row| format!("\n            {row:?}"))
            .collect()
    };
    ensure!(
        theirs == ours,
        "Argo Rollouts shows{}\n          and Sluice{}",
        beyond(theirs, ours),
        beyond(ours, theirs)
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIEW: &str = "Name:            web\nStatus:          ✔ Healthy  \n\n\
                        NAME             KIND     STATUS     AGE  INFO\n\
                        ⟳ web            Rollout  ✔ Healthy  5s   \n\
                        └──# revision:1                           \n   \
                        └──⧉ web-1  ReplicaSet  ✔ Healthy  2m30s  stable,delay:25s\n\n\
                        Decision:        nothing to do\n";

    #[test]
    fn header_and_tree_are_parted_by_an_empty_line() {
        assert_eq!(
            header(VIEW),
            ["Name:            web", "Status:          ✔ Healthy"]
        );
        let tree = tree(VIEW);
        assert_eq!(tree.len(), 4);
        assert_eq!(tree[1], ["⟳", "web", "Rollout", "✔", "Healthy"]);
    }

    #[test]
    fn what_depends_on_the_moment_is_left_out() {
        assert_eq!(
            tree(VIEW)[3],
            [
                "└──⧉",
                "web-1",
                "ReplicaSet",
                "✔",
                "Healthy",
                "stable,delay"
            ]
        );
        assert_eq!(words("web 4/4 20 3d"), ["web", "4/4", "20"]);
    }

    #[test]
    fn only_the_rows_that_differ_are_told() {
        same(&["one", "two"], &["one", "two"]).unwrap();
        let error = same(&["one", "two"], &["one", "three"]).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("two") && text.contains("three") && !text.contains("one\""));
        assert!(same(&["one", "two"], &["two", "one"]).is_err());
    }
}
