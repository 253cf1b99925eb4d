//! Values from Secrets, read when they are needed and kept no longer than a measurement takes.
//!
//! Secrets are not watched: that would hold every Secret of the cluster in memory. Values appear in no log, event or error.

use serde_json::Value;
use sluice_analysis::{SecretArgument, SecretValues};
use sluice_crds::analysis::SecretKeyRef;
use sluice_runtime::kind::SECRET;
use sluice_runtime::{Api, Key};

/// Why a value could not be had, in words without the value.
pub(super) struct SecretError {
    pub(super) message: String,
    /// Whether trying again may help without anybody changing anything.
    pub(super) transient: bool,
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
    let permanent = |message| SecretError {
        message,
        transient: false,
    };
    let secret = api.get(&SECRET, &key).await.map_err(|error| SecretError {
        transient: error.kind == sluice_runtime::api::ErrorKind::Unavailable,
        message: format!("cannot read Secret {key}: {error}"),
    })?;
    let secret = secret.ok_or_else(|| permanent(format!("Secret {key} does not exist")))?;
    let encoded = secret
        .get("data")
        .and_then(|data| data.get(&wanted.key))
        .and_then(Value::as_str)
        .ok_or_else(|| permanent(format!("Secret {key} has no key {:?}", wanted.key)))?;
    let bytes: k8s_openapi::ByteString = serde_json::from_value(Value::String(encoded.to_owned()))
        .map_err(|_| {
            permanent(format!(
                "key {:?} of Secret {key} is not base64",
                wanted.key
            ))
        })?;
    String::from_utf8(bytes.0)
        .map_err(|_| permanent(format!("key {:?} of Secret {key} is not text", wanted.key)))
}
