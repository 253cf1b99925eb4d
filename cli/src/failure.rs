//! Errors as people read them: what the API server says, without the client's wrapping.

use anyhow::Error;
use kube::core::Status;

/// One sentence for an error and its causes.
pub(crate) fn sentence(error: &Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    for cause in error.chain() {
        if let Some(error) = cause.downcast_ref::<kube::Error>() {
            parts.push(of_client(error));
            // What comes below is in the sentence already.
            break;
        }
        let text = cause.to_string();
        if parts.last().is_none_or(|last| !last.ends_with(&text)) {
            parts.push(text);
        }
    }
    parts.join(": ")
}

/// One sentence for an error of the client.
pub(crate) fn of_client(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => of_server(status),
        other => {
            let mut text = innermost(other);
            if let kube::Error::Service(_) | kube::Error::HyperError(_) = other {
                text = format!("the API server cannot be reached: {text}");
            }
            text
        }
    }
}

fn of_server(status: &Status) -> String {
    if is_unserved(status) {
        return "the cluster does not serve this kind: are the CustomResourceDefinitions of Sluice installed?".to_owned();
    }
    match status.reason.as_str() {
        "" | "Failed to parse error data" => format!(
            "the API server answered: {} ({})",
            status.message, status.code
        ),
        "NotFound" => status.message.clone(),
        reason => format!("the API server answered {reason}: {}", status.message),
    }
}

/// Whether it is the kind that does not exist, and not the object.
pub(crate) fn is_unserved(status: &Status) -> bool {
    status.code == 404 && status.reason != "NotFound"
}

/// Whether waiting and asking again may help.
pub(crate) fn is_transient(error: &Error) -> bool {
    error
        .chain()
        .find_map(|cause| cause.downcast_ref::<kube::Error>())
        .is_some_and(|error| match error {
            kube::Error::Api(status) => status.code == 429 || status.code >= 500,
            kube::Error::Service(_) | kube::Error::HyperError(_) => true,
            _ => false,
        })
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    fn answer(code: u16, reason: &str, message: &str) -> Error {
        let status = Status::failure(message, reason).with_code(code);
        anyhow!(kube::Error::Api(status.boxed())).context("reading Rollout web")
    }

    #[test]
    fn what_the_server_says_comes_without_the_wrapping_of_the_client() {
        let error = answer(404, "NotFound", "rollouts.argoproj.io \"web\" not found");
        assert_eq!(
            sentence(&error),
            "reading Rollout web: rollouts.argoproj.io \"web\" not found"
        );
        let error = answer(403, "Forbidden", "User \"a\" cannot get");
        assert_eq!(
            sentence(&error),
            "reading Rollout web: the API server answered Forbidden: User \"a\" cannot get"
        );
    }

    #[test]
    fn a_kind_that_is_not_served_is_told_from_an_object_that_is_not_there() {
        let error = answer(404, "Failed to parse error data", "404 page not found");
        assert!(
            sentence(&error).contains("CustomResourceDefinitions"),
            "{}",
            sentence(&error)
        );
    }

    #[test]
    fn only_what_may_go_away_is_transient() {
        assert!(is_transient(&answer(503, "ServiceUnavailable", "later")));
        assert!(is_transient(&answer(429, "TooManyRequests", "later")));
        assert!(!is_transient(&answer(404, "NotFound", "no")));
        assert!(!is_transient(&anyhow!("no")));
    }
}
