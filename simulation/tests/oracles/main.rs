//! Each oracle bites: an engine with a deliberate defect breaks the promise, and is caught.

mod defects;
mod rest;
mod transitions;
