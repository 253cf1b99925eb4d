//! Tolerant decoding: one malformed object must never stop the others, and its owner must learn which field is wrong.

use serde::de::DeserializeOwned;
use serde_json::Value;

/// An object that could not be decoded: where, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct DecodeError {
    /// Path of the field, as in `spec.strategy.canary.steps[1].setWeight`; `.` for the whole object.
    pub field: String,
    /// What is wrong with it, in the words of the decoder.
    pub reason: String,
}

/// Decodes an object of the API and keeps the path of the field that did not fit.
///
/// # Errors
/// When a field has a wrong type or a required field is missing.
pub fn decode<T: DeserializeOwned>(value: &Value) -> Result<T, DecodeError> {
    // Keeping the path costs as much as decoding, and is needed only for what does not fit.
    if let Ok(decoded) = T::deserialize(value) {
        return Ok(decoded);
    }
    serde_path_to_error::deserialize(value).map_err(|error| DecodeError {
        field: error.path().to_string(),
        reason: error.inner().to_string(),
    })
}
