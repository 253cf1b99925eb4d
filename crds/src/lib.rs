//! API types of Sluice: everything that a person may write in Git under `argoproj.io/v1alpha1`, and the
//! names (labels, annotations, field managers) by which the loops and other tools find each other.
//!
//! The types hold every field of the API, so a manifest written for Argo survives decode and encode unchanged.
//! What a field means when it is absent is decided here once, in the accessor methods beside the types.
//! This crate is pure: no client, no clock, no file system.

pub mod analysis;
pub mod app_project;
pub mod application;
pub mod crd;
pub mod decode;
pub mod duration;
pub mod experiment;
pub mod merge_patch;
pub mod names;
pub mod object_name;
pub mod pod_template;
pub mod pointer;
pub mod rollout;
pub mod root_kind;
pub mod schema;
pub mod split;

pub use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, Time};
pub use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
