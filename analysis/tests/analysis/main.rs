//! Tests of the analysis engine, one module for each concept.

mod conditions;
mod holding;
mod limits;
mod properties;
mod runs;
mod schedule;
mod secrets;
mod support;
mod templates;
mod validation;
