//! Charts: `values.rs` finds value files, `template.rs` runs `helm template`, `dependencies.rs` completes a chart that
//! does not carry its dependencies, `repository.rs` takes charts from Helm repositories and registries.

pub(crate) mod dependencies;
pub(crate) mod repository;
pub(crate) mod template;
mod values;
