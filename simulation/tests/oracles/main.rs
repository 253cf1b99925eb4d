//! Each oracle bites: an engine with a deliberate defect breaks the promise, and is caught.

mod defects;
mod left;
mod rest;
mod transitions;
