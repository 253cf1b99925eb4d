//! Tests of the metric backends against servers on loopback.

mod guard;
mod prometheus;
mod sign_in;
mod support;
mod web;
