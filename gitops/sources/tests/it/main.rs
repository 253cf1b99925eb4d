//! The crate on real Git repositories, with the real git, helm and kustomize.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod cache;
mod common;
mod directory;
mod escapes;
mod examples;
mod git_server;
mod helm;
mod http;
mod kustomize;
mod revisions;
mod yaml;
