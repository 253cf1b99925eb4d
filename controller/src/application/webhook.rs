//! `POST /api/webhook`: a Git server says that something was pushed, and the Applications that it is about look at Git
//! at once.
//!
//! Every process serves it, the leader or not: an Application is asked to look by its refresh annotation, which the
//! leader sees through its watch and which outlives the process. Secrets of Git servers are in the Secret
//! `argocd-secret`, under upstream's keys; a server without one is believed, since all that a liar gets is a look.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use ring::hmac;
use serde_json::{Value, json};
use sluice_crds::application::Application;
use sluice_crds::names;
use sluice_gitops::webhook;
use sluice_runtime::kind::{APPLICATION, SECRET};
use sluice_runtime::{Context, Executor, Fence, Key, Must, WriteError, admin};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::git::data_of;
use super::watches::Watches;

/// Largest body that is read, in bytes. GitHub sends at most 25 MB, and pushes are far smaller.
const LARGEST: usize = 10 << 20;
/// The Secret that holds the secrets of Git servers.
const SECRETS: &str = "argocd-secret";
/// How long these are believed.
const OLD: Duration = Duration::from_secs(10);

/// Serves webhooks.
pub(crate) struct Webhooks {
    ctx: Context,
    /// Writes whether this process is the leader or not: it only asks.
    executor: Executor,
    applications: Arc<sluice_runtime::Cache>,
    secrets: Mutex<Option<(Instant, Arc<Secrets>)>>,
}

impl Webhooks {
    pub(crate) fn new(ctx: &Context, watches: &Watches) -> Arc<Self> {
        let executor = Executor::new(ctx.api.clone(), Fence::open(), names::GITOPS_FIELD_MANAGER);
        Arc::new(Self {
            ctx: ctx.clone(),
            executor,
            applications: Arc::clone(&watches.applications),
            secrets: Mutex::default(),
        })
    }

    /// Opens the port; the future serves until `end`.
    pub(crate) async fn serve(
        self: Arc<Self>,
        address: SocketAddr,
        end: CancellationToken,
    ) -> std::io::Result<(SocketAddr, impl Future<Output = ()> + Send + use<>)> {
        let router = Router::new()
            .route("/api/webhook", post(receive))
            .layer(DefaultBodyLimit::max(LARGEST))
            .with_state(self);
        admin::serve(address, router, end).await
    }

    async fn secrets(&self) -> Result<Arc<Secrets>, Response> {
        let mut cached = self.secrets.lock().await;
        if let Some((at, secrets)) = &*cached
            && at.elapsed() < OLD
        {
            return Ok(Arc::clone(secrets));
        }
        let key = Key::new(&self.ctx.own_namespace, SECRETS);
        let object = self.ctx.api.get(&SECRET, &key).await.map_err(|error| {
            tracing::warn!(%error, "cannot read the secrets of webhooks");
            (
                StatusCode::SERVICE_UNAVAILABLE,
                "cannot read the secrets of webhooks\n",
            )
                .into_response()
        })?;
        let secrets = Arc::new(Secrets::read(object.as_ref()));
        *cached = Some((Instant::now(), Arc::clone(&secrets)));
        Ok(secrets)
    }

    /// Asks the Applications that a push is about to look at Git; the names of those that were asked.
    async fn announce(&self, push: &webhook::Push) -> Vec<String> {
        let mut asked = Vec::new();
        for object in self.applications.all() {
            let Ok(app) = object.decode::<Application>() else {
                continue;
            };
            if !webhook::concerns(push, &app) {
                continue;
            }
            let annotations = app.metadata.annotations.unwrap_or_default();
            // `hard` asks for more than we do.
            if annotations
                .get(names::REFRESH)
                .is_some_and(|level| level == "hard")
            {
                continue;
            }
            let patch = json!({"metadata": {"annotations": {names::REFRESH: "normal"}}});
            let must = Must::be_uid(&*object.uid);
            match self
                .executor
                .merge(&APPLICATION, &object.key, &must, patch)
                .await
            {
                Ok(_) => asked.push(object.key.to_string()),
                Err(WriteError::Gone(_)) => {}
                Err(error) => {
                    tracing::warn!(application = %object.key, %error, "could not be asked to look at Git");
                }
            }
        }
        asked
    }
}

async fn receive(
    State(webhooks): State<Arc<Webhooks>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let secrets = match webhooks.secrets().await {
        Ok(secrets) => secrets,
        Err(response) => return response,
    };
    if !secrets.accept(&headers, &body) {
        metrics::counter!("sluice_webhooks_total", "outcome" => "refused").increment(1);
        let text = "the signature or token of the webhook is missing or wrong\n";
        return (StatusCode::UNAUTHORIZED, text).into_response();
    }
    let Some(parsed) = payload(&headers, &body) else {
        metrics::counter!("sluice_webhooks_total", "outcome" => "malformed").increment(1);
        return (
            StatusCode::BAD_REQUEST,
            "the body of the webhook is no JSON\n",
        )
            .into_response();
    };
    let Some(push) = webhook::parse(&parsed) else {
        metrics::counter!("sluice_webhooks_total", "outcome" => "ignored").increment(1);
        return (StatusCode::OK, "nothing was pushed\n").into_response();
    };
    let asked = webhooks.announce(&push).await;
    metrics::counter!("sluice_webhooks_total", "outcome" => "accepted").increment(1);
    tracing::info!(repositories = ?push.repositories, references = ?push.references, applications = ?asked, "webhook");
    (
        StatusCode::OK,
        format!("{} Applications look at Git\n", asked.len()),
    )
        .into_response()
}

/// The JSON of a webhook; GitHub can be told to send it as a form.
fn payload(headers: &HeaderMap, body: &[u8]) -> Option<Value> {
    let is_form = header(headers, "content-type").starts_with("application/x-www-form-urlencoded");
    // Some clients call everything a form.
    if is_form && let Some(encoded) = body.strip_prefix(b"payload=") {
        let encoded = encoded.split(|byte| *byte == b'&').next()?;
        return serde_json::from_slice(&percent_decoded(encoded)).ok();
    }
    serde_json::from_slice(body).ok()
}

fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        let pair = tail
            .get(..2)
            .and_then(|pair| std::str::from_utf8(pair).ok());
        let (value, tail) = match (
            byte,
            pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()),
        ) {
            (b'%', Some(value)) => (value, tail.get(2..).unwrap_or_default()),
            (b'+', _) => (b' ', tail),
            _ => (byte, tail),
        };
        bytes.push(value);
        rest = tail;
    }
    bytes
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

/// The secrets of Git servers; never printed.
#[derive(Default)]
struct Secrets {
    github: Option<Vec<u8>>,
    gitlab: Option<Vec<u8>>,
    bitbucket: Option<Vec<u8>>,
    bitbucket_server: Option<Vec<u8>>,
    gogs: Option<Vec<u8>>,
}

impl Secrets {
    fn read(secret: Option<&Value>) -> Self {
        let mut data = secret.map(data_of).unwrap_or_default();
        let mut take = |key: &str| data.remove(key).filter(|value| !value.is_empty());
        Self {
            github: take("webhook.github.secret"),
            gitlab: take("webhook.gitlab.secret"),
            bitbucket: take("webhook.bitbucket.uuid"),
            bitbucket_server: take("webhook.bitbucketserver.secret"),
            gogs: take("webhook.gogs.secret"),
        }
    }

    /// Whether a webhook comes from whom it says.
    fn accept(&self, headers: &HeaderMap, body: &[u8]) -> bool {
        let has = |name: &str| headers.contains_key(name);
        if has("x-gitea-event") || has("x-gogs-event") {
            let signature = match header(headers, "x-gitea-signature") {
                "" => header(headers, "x-gogs-signature"),
                signature => signature,
            };
            signed(self.gogs.as_deref(), signature, body)
        } else if has("x-github-event") {
            let signature = header(headers, "x-hub-signature-256");
            signed(
                self.github.as_deref(),
                signature.trim_start_matches("sha256="),
                body,
            )
        } else if has("x-gitlab-event") {
            same(self.gitlab.as_deref(), header(headers, "x-gitlab-token"))
        } else if has("x-hook-uuid") {
            same(self.bitbucket.as_deref(), header(headers, "x-hook-uuid"))
        } else if has("x-event-key") {
            let signature = header(headers, "x-hub-signature");
            signed(
                self.bitbucket_server.as_deref(),
                signature.trim_start_matches("sha256="),
                body,
            )
        } else {
            // It does not say what it is: believed only where no secret could be asked for.
            let secrets = [
                &self.github,
                &self.gitlab,
                &self.bitbucket,
                &self.bitbucket_server,
                &self.gogs,
            ];
            secrets.iter().all(|secret| secret.is_none())
        }
    }
}

/// Whether a hexadecimal HMAC-SHA-256 is that of the body; without a secret, everything is.
fn signed(secret: Option<&[u8]>, signature: &str, body: &[u8]) -> bool {
    let Some(secret) = secret else { return true };
    let Some(tag) = unhex(signature) else {
        return false;
    };
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, secret), body, &tag).is_ok()
}

/// Whether a token is the secret, compared in constant time.
fn same(secret: Option<&[u8]>, token: &str) -> bool {
    let Some(secret) = secret else { return true };
    // Tags of equal texts are equal, and comparing tags tells nothing about the texts.
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"token");
    hmac::verify(&key, token.as_bytes(), hmac::sign(&key, secret).as_ref()).is_ok()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if text.is_empty() || !text.len().is_multiple_of(2) {
        return None;
    }
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn signature(secret: &[u8], body: &[u8]) -> String {
        hex(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), body).as_ref())
    }

    #[test]
    fn a_signature_must_be_that_of_the_body() {
        let secrets = Secrets {
            github: Some(b"s".to_vec()),
            gogs: Some(b"g".to_vec()),
            ..Secrets::default()
        };
        let good = format!("sha256={}", signature(b"s", b"body"));
        let github =
            |value: &str| headers(&[("x-github-event", "push"), ("x-hub-signature-256", value)]);
        assert!(secrets.accept(&github(&good), b"body"));
        assert!(!secrets.accept(&github(&good), b"other"));
        assert!(!secrets.accept(&github("sha256=00"), b"body"));
        assert!(!secrets.accept(&github("nonsense"), b"body"));
        assert!(!secrets.accept(&headers(&[("x-github-event", "push")]), b"body"));
        // Gitea sends GitHub's headers as well; its own secret counts.
        let gitea = headers(&[
            ("x-github-event", "push"),
            ("x-gitea-event", "push"),
            ("x-gitea-signature", &signature(b"g", b"body")),
        ]);
        assert!(secrets.accept(&gitea, b"body"));
    }

    #[test]
    fn a_token_must_be_the_secret() {
        let secrets = Secrets {
            gitlab: Some(b"s".to_vec()),
            bitbucket: Some(b"u".to_vec()),
            ..Secrets::default()
        };
        let gitlab =
            |token: &str| headers(&[("x-gitlab-event", "Push Hook"), ("x-gitlab-token", token)]);
        assert!(secrets.accept(&gitlab("s"), b""));
        assert!(!secrets.accept(&gitlab("t"), b"") && !secrets.accept(&gitlab(""), b""));
        assert!(!secrets.accept(&headers(&[("x-hook-uuid", "v")]), b""));
    }

    #[test]
    fn without_a_secret_everybody_is_believed_and_with_one_the_nameless_are_not() {
        let open = Secrets::default();
        assert!(
            open.accept(&headers(&[("x-github-event", "push")]), b"")
                && open.accept(&headers(&[]), b"")
        );
        let closed = Secrets {
            gitlab: Some(b"s".to_vec()),
            ..Secrets::default()
        };
        assert!(!closed.accept(&headers(&[]), b""));
    }

    #[test]
    fn a_form_is_read_like_json() {
        let form = headers(&[("content-type", "application/x-www-form-urlencoded")]);
        let body = b"payload=%7B%22ref%22%3A+%22refs%2Fheads%2Fmain%22%7D&x=y";
        assert_eq!(
            payload(&form, body),
            Some(json!({"ref": "refs/heads/main"}))
        );
        assert_eq!(payload(&headers(&[]), b"{\"a\": 1}"), Some(json!({"a": 1})));
        assert_eq!(payload(&headers(&[]), b"nonsense"), None);
    }
}
