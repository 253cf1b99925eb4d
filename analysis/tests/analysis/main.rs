//! Tests of the analysis engine, one module for each concept.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail as tests do, and clippy knows the tests only"
)]

mod bounds;
mod comparisons;
mod conditions;
mod holding;
mod jobs;
mod limits;
mod properties;
mod reasons;
mod runs;
mod schedule;
mod secrets;
mod support;
mod templates;
mod validation;
