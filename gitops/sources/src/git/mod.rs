//! Git repositories: what a revision names, and its files.
//!
//! `session.rs` is one hardened git child with its credentials; `refs.rs` and `constraint.rs` turn `targetRevision`
//! into a commit; `mirror.rs` keeps the objects of a repository; `tree.rs` lays the files of a commit out on disk.

pub(crate) mod constraint;
pub(crate) mod mirror;
pub(crate) mod refs;
pub(crate) mod session;
pub(crate) mod tree;

/// Whether `revision` is the full name of a commit (SHA-1 or SHA-256).
pub(crate) fn is_full_sha(revision: &str) -> bool {
    matches!(revision.len(), 40 | 64) && is_hex(revision)
}

/// Whether `revision` may be the start of the name of a commit.
pub(crate) fn is_short_sha(revision: &str) -> bool {
    (7..40).contains(&revision.len()) && is_hex(revision)
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
