//! Small pieces of OpenAPI schema for fields that are kept as they are.

use schemars::{Schema, SchemaGenerator, json_schema};

/// Any JSON value, kept as it is.
#[must_use]
pub fn any(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "x-kubernetes-preserve-unknown-fields": true })
}

/// An object whose fields are kept as they are.
#[must_use]
pub fn object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}

/// A map from plugin names to settings that are kept as they are.
#[must_use]
pub fn plugins(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "additionalProperties": { "x-kubernetes-preserve-unknown-fields": true }
    })
}

/// A list of objects whose fields are kept as they are.
#[must_use]
pub fn objects(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "items": { "type": "object", "x-kubernetes-preserve-unknown-fields": true }
    })
}
