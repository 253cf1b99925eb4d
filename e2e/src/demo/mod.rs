//! The demo: a push to Git becomes a canary, and bad metrics send it back. All parts are real.
//!
//! [`stage`]: what it plays on. [`story`]: what happens. [`load`]: the users. [`panel`] and [`screen`]: what is shown.

pub mod load;
pub mod panel;
pub mod picture;
pub mod screen;
pub mod stage;
pub mod story;
