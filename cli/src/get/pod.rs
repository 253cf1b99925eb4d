//! One word, an icon and counts for a pod, as kubectl and the Argo Rollouts plugin find them.

use serde_json::Value;

use super::owned::text;

/// How a pod is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PodState {
    /// One word, as in `Running` or `Init:0/1`.
    pub word: String,
    /// Containers that are ready.
    pub ready: usize,
    /// Containers.
    pub total: usize,
    /// Restarts of all its containers.
    pub restarts: i64,
}

/// Reads a pod.
pub(crate) fn state(pod: &Value) -> PodState {
    let list = |pointer: &str| {
        pod.pointer(pointer)
            .and_then(Value::as_array)
            .map(Vec::as_slice)
            .unwrap_or_default()
    };
    let mut word = match text(pod, "/status/reason") {
        "" => text(pod, "/status/phase").to_owned(),
        reason => reason.to_owned(),
    };
    let (mut ready, mut restarts) = (0, 0);
    let count = |container: &Value| {
        container
            .get("restartCount")
            .and_then(Value::as_i64)
            .unwrap_or(0)
    };
    let specs = list("/spec/initContainers");
    if let Some((reason, so_far)) = initializing(specs, list("/status/initContainerStatuses")) {
        word = reason;
        restarts = so_far;
    } else {
        let mut runs = false;
        // The first container has the last word.
        for container in list("/status/containerStatuses").iter().rev() {
            restarts += count(container);
            if let Some(reason) = not_running(container) {
                word = reason;
            } else if is_true(container, "/ready") && container.pointer("/state/running").is_some()
            {
                runs = true;
                ready += 1;
            }
        }
        if word == "Completed" && runs {
            word = "Running".to_owned();
        }
    }
    if !text(pod, "/metadata/deletionTimestamp").is_empty() {
        let lost = text(pod, "/status/reason") == "NodeLost";
        word = if lost { "Unknown" } else { "Terminating" }.to_owned();
    }
    PodState {
        word,
        ready,
        total: list("/spec/containers").len(),
        restarts,
    }
}

/// The word of a pod whose init containers are not done, and their restarts.
fn initializing(specs: &[Value], statuses: &[Value]) -> Option<(String, i64)> {
    let is_sidecar = |name: &str| {
        specs
            .iter()
            .any(|spec| text(spec, "/name") == name && text(spec, "/restartPolicy") == "Always")
    };
    let mut restarts = 0;
    for (index, container) in statuses.iter().enumerate() {
        restarts += container
            .get("restartCount")
            .and_then(Value::as_i64)
            .unwrap_or(0);
        if let Some(ended) = container.pointer("/state/terminated") {
            if ended.get("exitCode").and_then(Value::as_i64) == Some(0) {
                continue;
            }
            return Some((format!("Init:{}", how_ended(ended)), restarts));
        }
        if is_sidecar(text(container, "/name")) && is_true(container, "/started") {
            if is_true(container, "/ready") {
                continue;
            }
        } else {
            let waits = text(container, "/state/waiting/reason");
            if !waits.is_empty() && waits != "PodInitializing" {
                return Some((format!("Init:{waits}"), restarts));
            }
        }
        return Some((format!("Init:{index}/{}", specs.len()), restarts));
    }
    None
}

/// Why a container does not run.
fn not_running(container: &Value) -> Option<String> {
    let waits = text(container, "/state/waiting/reason");
    if !waits.is_empty() {
        return Some(waits.to_owned());
    }
    container.pointer("/state/terminated").map(how_ended)
}

fn how_ended(ended: &Value) -> String {
    let number = |name: &str| ended.get(name).and_then(Value::as_i64).unwrap_or(0);
    match (text(ended, "/reason"), number("signal")) {
        ("", 0) => format!("ExitCode:{}", number("exitCode")),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    }
}

fn is_true(value: &Value, pointer: &str) -> bool {
    value.pointer(pointer).and_then(Value::as_bool) == Some(true)
}

/// The icon of a pod's word.
pub(crate) fn icon(word: &str) -> &'static str {
    if word.starts_with("Init:") {
        return "◌";
    }
    if word.starts_with("Signal:") || word.starts_with("ExitCode:") {
        return "✖";
    }
    if word.ends_with("Error") || word.starts_with("Err") {
        return "⚠";
    }
    match word {
        "Pending" | "Terminating" | "ContainerCreating" => "◌",
        "Running" | "Completed" => "✔",
        "Failed" | "InvalidImageName" | "CrashLoopBackOff" => "✖",
        "ImagePullBackOff" | "RegistryUnavailable" => "⚠",
        "Unknown" => "?",
        _ => " ",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn word(status: Value) -> String {
        let pod = json!({
            "metadata": { "name": "web" },
            "spec": { "containers": [{ "name": "web" }], "initContainers": [{ "name": "prepare" }] },
            "status": status
        });
        let state = state(&pod);
        format!(
            "{} {} {}/{} {}",
            icon(&state.word),
            state.word,
            state.ready,
            state.total,
            state.restarts
        )
    }

    #[test]
    fn a_pod_is_described_by_what_keeps_it_from_running() {
        let of = |state: Value| {
            json!({ "phase": "Running", "containerStatuses": [
                { "name": "web", "restartCount": 2, "ready": state.get("running").is_some(), "state": state }
            ] })
        };
        assert_eq!(word(of(json!({ "running": {} }))), "✔ Running 1/1 2");
        assert_eq!(
            word(of(json!({ "waiting": { "reason": "ImagePullBackOff" } }))),
            "⚠ ImagePullBackOff 0/1 2"
        );
        assert_eq!(
            word(of(json!({ "waiting": { "reason": "CrashLoopBackOff" } }))),
            "✖ CrashLoopBackOff 0/1 2"
        );
        assert_eq!(
            word(of(
                json!({ "terminated": { "signal": 9, "exitCode": 137 } })
            )),
            "✖ Signal:9 0/1 2"
        );
        assert_eq!(
            word(of(json!({ "terminated": { "exitCode": 3 } }))),
            "✖ ExitCode:3 0/1 2"
        );
        assert_eq!(
            word(of(json!({ "terminated": { "reason": "Error" } }))),
            "⚠ Error 0/1 2"
        );
        assert_eq!(word(json!({ "phase": "Pending" })), "◌ Pending 0/1 0");
        assert_eq!(
            word(json!({ "phase": "Failed", "reason": "Evicted" })),
            "  Evicted 0/1 0"
        );
    }

    #[test]
    fn init_containers_are_counted_until_they_are_done() {
        let with = |state: Value| {
            json!({ "phase": "Pending", "initContainerStatuses": [
                { "name": "prepare", "restartCount": 1, "state": state }
            ] })
        };
        assert_eq!(word(with(json!({ "running": {} }))), "◌ Init:0/1 0/1 1");
        assert_eq!(
            word(with(json!({ "waiting": { "reason": "ErrImagePull" } }))),
            "◌ Init:ErrImagePull 0/1 1"
        );
        assert_eq!(
            word(with(json!({ "terminated": { "exitCode": 1 } }))),
            "◌ Init:ExitCode:1 0/1 1"
        );
        assert_eq!(
            word(with(json!({ "terminated": { "exitCode": 0 } }))),
            "◌ Pending 0/1 0"
        );
    }

    #[test]
    fn a_pod_that_is_being_deleted_says_so() {
        let pod = json!({
            "metadata": { "deletionTimestamp": "2026-01-01T00:00:00Z" }, "status": { "phase": "Running" }
        });
        assert_eq!(state(&pod).word, "Terminating");
    }
}
