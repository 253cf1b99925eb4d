//! Values from Secrets, read when they are needed and kept no longer than a measurement takes.
//!
//! Secrets are not watched: that would hold every Secret of the cluster in memory. Values appear in no log, event or error.

use std::collections::BTreeMap;

use serde_json::Value;
use sluice_analysis::{Outcome, SecretArgument, SecretValues};
use sluice_crds::analysis::SecretKeyRef;
use sluice_runtime::kind::SECRET;
use sluice_runtime::{Api, Key};

/// Why a value could not be had, in words without the value.
pub(super) struct SecretError {
    pub(super) message: String,
    /// Whether trying again may help without anybody changing anything.
    pub(super) transient: bool,
}

impl From<SecretError> for Outcome {
    fn from(error: SecretError) -> Self {
        Outcome::Error {
            message: error.message,
            transient: error.transient,
        }
    }
}

/// Reads the values of arguments from the Secrets of a namespace.
pub(super) async fn read(
    api: &Api,
    namespace: &str,
    arguments: &[SecretArgument],
) -> Result<SecretValues, SecretError> {
    let mut values = SecretValues::new();
    for argument in arguments {
        values.insert(
            &argument.argument,
            read_key(api, namespace, &argument.key).await?,
        );
    }
    Ok(values)
}

/// Reads one key of one Secret.
pub(super) async fn read_key(
    api: &Api,
    namespace: &str,
    wanted: &SecretKeyRef,
) -> Result<String, SecretError> {
    let key = Key::new(namespace, &wanted.name);
    let secret = get(api, &key).await?;
    let encoded = secret
        .get("data")
        .and_then(|data| data.get(&wanted.key))
        .and_then(Value::as_str)
        .ok_or_else(|| permanent(format!("Secret {key} has no key {:?}", wanted.key)))?;
    decode(&key, &wanted.key, encoded)
}

/// Reads every key of one Secret: the credentials of a backend.
pub(super) async fn read_all(
    api: &Api,
    namespace: &str,
    name: &str,
) -> Result<BTreeMap<String, String>, SecretError> {
    let key = Key::new(namespace, name);
    let secret = get(api, &key).await?;
    let data = secret.get("data").and_then(Value::as_object);
    data.into_iter()
        .flatten()
        .filter_map(|(field, value)| Some((field, value.as_str()?)))
        .map(|(field, encoded)| Ok((field.clone(), decode(&key, field, encoded)?)))
        .collect()
}

fn permanent(message: String) -> SecretError {
    SecretError {
        message,
        transient: false,
    }
}

async fn get(api: &Api, key: &Key) -> Result<Value, SecretError> {
    let secret = api.get(&SECRET, key).await.map_err(|error| SecretError {
        transient: error.kind == sluice_runtime::api::ErrorKind::Unavailable,
        message: format!("cannot read Secret {key}: {error}"),
    })?;
    secret.ok_or_else(|| permanent(format!("Secret {key} does not exist")))
}

fn decode(key: &Key, field: &str, encoded: &str) -> Result<String, SecretError> {
    let bytes: k8s_openapi::ByteString = serde_json::from_value(Value::String(encoded.to_owned()))
        .map_err(|_| permanent(format!("key {field:?} of Secret {key} is not base64")))?;
    String::from_utf8(bytes.0)
        .map_err(|_| permanent(format!("key {field:?} of Secret {key} is not text")))
}
