//! The two sides of a routed canary: how many pods they have, which Service is which, and who is sent where.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::Stage;
use super::canary::{paused, sizes};
use super::fixtures::{self, rollout, routed, services};
use super::watch::{healthy, http_routes, rollouts, services as service_kind};
use crate::cluster::Namespace;
use crate::demo::load::{self, Load};
use crate::demo::stage::{number, text};
use crate::wait::eventually;

async fn deployed(
    stage: &Stage,
    prefix: &str,
    replicas: i32,
    strategy: impl Fn(&str) -> String,
) -> Result<Namespace> {
    let namespace = stage.cluster.namespace(prefix).await?;
    let name = namespace.name();
    namespace.apply_yaml(&services()).await?;
    namespace
        .apply_yaml(&fixtures::http_route(&format!("{name}.local")))
        .await?;
    namespace
        .apply_yaml(&rollout(replicas, &strategy(name)))
        .await?;
    stage
        .rollout_until(name, "v1 to be healthy", 90, healthy)
        .await?;
    Ok(namespace)
}

/// Whoever sends the header gets the canary, nobody else does, and the route is gone in the end.
pub(super) async fn header(stage: Arc<Stage>) -> Result<()> {
    let steps = "- setCanaryScale:\n    replicas: 1\n- setHeaderRoute:\n    name: testers\n    match:\n      - headerName: x-tester\n        \
                 headerValue:\n          exact: 'yes'\n- pause: {}";
    let strategy = |name: &str| {
        routed(name, steps, "").replace(
            "  trafficRouting:\n",
            "  trafficRouting:\n    managedRoutes:\n      - name: testers\n",
        )
    };
    let namespace = deployed(&stage, "header", 2, strategy).await?;
    let name = namespace.name();
    let host = format!("{name}.local");
    stage.update(name, "v2").await?;
    stage.rollout_until(name, "the pause", 60, paused).await?;
    let ask = async |header: &str| {
        let answers = answers(&stage, &host, header).await?;
        Ok::<_, anyhow::Error>(answers)
    };
    eventually(
        "testers to get the canary",
        Duration::from_secs(20),
        || async {
            let answers = ask("yes").await?;
            ensure!(answers == ["v2"; 20], "{answers:?}");
            Ok(())
        },
    )
    .await?;
    for header in ["", "no"] {
        let answers = ask(header).await?;
        ensure!(
            answers == ["v1"; 20],
            "with the header {header:?}: {answers:?}"
        );
    }
    stage.promote(name).await?;
    stage
        .rollout_until(name, "v2 to be healthy", 60, healthy)
        .await?;
    let gone = |route: &Value| {
        let rules = route.pointer("/spec/rules").and_then(Value::as_array);
        rules.map(Vec::len) == Some(1) && !route["spec"].to_string().contains("x-tester")
    };
    stage
        .until(
            name,
            &http_routes(),
            "web",
            "the route of the testers to go",
            20,
            gone,
        )
        .await?;
    Ok(())
}

/// Traefik cannot copy requests and would answer them with errors, so a mirror route is not made, the Rollout says why, and
/// no request fails. Behind a gateway that says it can, the route comes, and it goes with the promotion.
pub(super) async fn mirror(stage: Arc<Stage>) -> Result<()> {
    let steps = "- setWeight: 50\n- setMirrorRoute:\n    name: copies\n    percentage: 30\n    match:\n      - path:\n          \
                 prefix: /\n- pause: {}";
    let strategy = |name: &str| {
        routed(name, steps, "").replace(
            "  trafficRouting:\n",
            "  trafficRouting:\n    managedRoutes:\n      - name: copies\n",
        )
    };
    let namespace = deployed(&stage, "mirror", 2, strategy).await?;
    let name = namespace.name();
    let users = users(&stage, name).await?;
    stage.update(name, "v2").await?;
    let holds = |rollout: &Value| {
        let told = text(rollout, "/status/message");
        told.contains("GatewayClass traefik") && told.contains("HTTPRouteRequestMirror")
    };
    stage
        .rollout_until(
            name,
            "the Rollout to say what its gateway cannot do",
            60,
            holds,
        )
        .await?;
    let route = stage.get(name, &http_routes(), "web").await?;
    ensure!(!mirrors(&route, 30), "the route is made: {}", route["spec"]);
    let failed = load::sum(&users.total()).failed;
    ensure!(failed == 0, "{failed} requests failed");
    drop(users);

    // A gateway that nobody runs, of a class that says what it can.
    let version = "gateway.networking.k8s.io/v1";
    let class = json!({
        "apiVersion": version, "kind": "GatewayClass", "metadata": { "name": name },
        "spec": { "controllerName": "sluice.dev/nobody" }
    });
    let gateway = json!({
        "apiVersion": version, "kind": "Gateway", "metadata": { "name": "copying" },
        "spec": { "gatewayClassName": name, "listeners": [{ "name": "http", "port": 80, "protocol": "HTTP" }] }
    });
    for object in [class, gateway] {
        namespace.apply_yaml(&object.to_string()).await?;
    }
    let features = ["HTTPRouteRequestMirror", "HTTPRouteRequestPercentageMirror"];
    let status =
        json!({ "status": { "supportedFeatures": features.map(|it| json!({ "name": it })) } });
    namespace
        .kubectl(&[
            "patch",
            "gatewayclass",
            name,
            "--subresource=status",
            "--type=merge",
            "--patch",
            &status.to_string(),
        ])
        .await?;
    let parents = json!({ "spec": { "parentRefs": [{ "name": "copying" }] } });
    stage.patch(name, &http_routes(), "web", &parents).await?;
    let outcome = mirrored(&stage, name).await;
    namespace.kubectl(&["delete", "gatewayclass", name]).await?;
    outcome
}

/// The mirror route is there in the pause, and gone when the update is.
async fn mirrored(stage: &Stage, namespace: &str) -> Result<()> {
    stage
        .rollout_until(namespace, "the pause after the mirror route", 60, paused)
        .await?;
    let route = stage.get(namespace, &http_routes(), "web").await?;
    ensure!(mirrors(&route, 30), "no mirror route: {}", route["spec"]);
    stage.promote(namespace).await?;
    stage
        .rollout_until(namespace, "v2 to be healthy", 60, healthy)
        .await?;
    let gone = |route: &Value| !mirrors(route, 30) && list(route, "/spec/rules").len() == 1;
    let what = "the mirror route to go";
    stage
        .until(namespace, &http_routes(), "web", what, 20, gone)
        .await?;
    Ok(())
}

/// Whether a rule of the route copies so many percent of its requests to the canary.
fn mirrors(route: &Value, percent: i32) -> bool {
    list(route, "/spec/rules").iter().any(|rule| {
        list(rule, "/filters").iter().any(|filter| {
            number(filter, "/requestMirror/percent") == percent
                && text(filter, "/requestMirror/backendRef/name") == "web-canary"
        })
    })
}

fn list<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    let list = object.pointer(pointer).and_then(Value::as_array);
    list.map_or(&[], Vec::as_slice)
}

/// Users who ask through the router, from when it answers: it hears of ready pods a moment after the Rollout is healthy.
async fn users(stage: &Stage, namespace: &str) -> Result<Load> {
    let host = format!("{namespace}.local");
    eventually("the router to answer", Duration::from_secs(20), || async {
        answers(stage, &host, "").await
    })
    .await?;
    let entry = stage.cluster.web_url();
    let entry = entry.trim_start_matches("http://").parse()?;
    Load::start(entry, &host, 20, Duration::from_secs(300))
}

/// The versions that answer 20 requests with a value of the header; none is sent when it is empty.
async fn answers(stage: &Stage, host: &str, tester: &str) -> Result<Vec<String>> {
    let client = reqwest::Client::new();
    let url = format!("{}/", stage.cluster.web_url());
    let mut versions = Vec::new();
    for _ in 0..20 {
        let mut request = client.get(&url).header("Host", host);
        if !tester.is_empty() {
            request = request.header("X-Tester", tester);
        }
        let answer = request.send().await?.error_for_status()?;
        let version = answer.headers().get("x-version").context("no version")?;
        versions.push(version.to_str()?.to_owned());
    }
    Ok(versions)
}

/// Two Services swap roles at each promotion, and the stable side shrinks and grows with its share; no request fails.
pub(super) async fn ping_pong(stage: Arc<Stage>) -> Result<()> {
    let strategy = |name: &str| {
        routed(
            name,
            "- setWeight: 25\n- pause: {}\n- setWeight: 75\n- pause: {}",
            "dynamicStableScale: true\nminPodsPerReplicaSet: 2\npingPong:\n  pingService: web-canary\n  pongService: web-stable",
        )
        .replace("  canaryService: web-canary\n  stableService: web-stable\n", "")
    };
    let namespace = deployed(&stage, "pingpong", 4, strategy).await?;
    let name = namespace.name();
    let users = users(&stage, name).await?;
    let mut stable_before = stable_service(&stage, name).await?;
    for (version, updates) in [("v2", 1), ("v1", 2)] {
        stage.update(name, version).await?;
        // 25 % of 4 pods are one; two is the least. 75 % are three.
        for (weight, wanted) in [(25, [2, 3]), (75, [2, 3])] {
            let at = |rollout: &Value| {
                paused(rollout)
                    && rollout.pointer("/status/canary/weights/canary/weight")
                        == Some(&json!(weight))
            };
            stage
                .rollout_until(name, &format!("the pause at {weight} %"), 60, at)
                .await?;
            let what = format!("the sizes at {weight} % of update {updates}");
            eventually(&what, Duration::from_secs(30), || async {
                let sizes = sizes(&stage, name).await?;
                ensure!(sizes == wanted, "{sizes:?}, not {wanted:?}");
                Ok(())
            })
            .await?;
            stage.promote(name).await?;
        }
        stage
            .rollout_until(name, "the update to be healthy", 90, healthy)
            .await?;
        let stable = stable_service(&stage, name).await?;
        ensure!(
            stable != stable_before,
            "{stable} is stable before and after the promotion"
        );
        stable_before = stable;
    }
    let failed = load::sum(&users.total()).failed;
    ensure!(failed == 0, "{failed} requests failed");
    Ok(())
}

/// The Service of the pair that selects the stable revision and gets the traffic, as the status says.
async fn stable_service(stage: &Stage, namespace: &str) -> Result<String> {
    let rollout = stage.get(namespace, &rollouts(), "web").await?;
    let role = text(&rollout, "/status/canary/stablePingPong");
    let service = if role == "ping" {
        "web-canary"
    } else {
        "web-stable"
    };
    let object = stage.get(namespace, &service_kind(), service).await?;
    ensure!(
        text(&object, "/spec/selector/rollouts-pod-template-hash")
            == text(&rollout, "/status/stableRS"),
        "{service} is {role:?} and does not select the stable revision: {}",
        object["spec"]
    );
    Ok(service.to_owned())
}

/// A canary with more pods than its weight needs, some of which come late: the threshold lets the step pass, the plugin
/// waits until all is as it should be, and a plugin that nobody knows is refused by name.
pub(super) async fn scaled_and_steady(stage: Arc<Stage>) -> Result<()> {
    let steps = |plugin: &str| {
        format!(
            "- setCanaryScale:\n    replicas: 2\n- setWeight: 25\n- plugin:\n    name: {plugin}\n    config:\n      for: 4s\n      \
             within: 90s\n- pause: {{}}\n- setCanaryScale:\n    matchTrafficWeight: true\n- setWeight: 50\n- pause: {{}}"
        )
    };
    let more = "replicaProgressThreshold:\n  type: Pods\n  value: 1";
    let namespace = deployed(&stage, "steady", 4, |name| {
        routed(name, &steps("sluice/steady"), more)
    })
    .await?;
    let name = namespace.name();
    let began = Instant::now();
    slow(&stage, name, "v2", 6).await?;
    let rollout = stage
        .rollout_until(name, "the pause after the plugin", 90, paused)
        .await?;
    let took = began.elapsed();
    ensure!(
        took >= Duration::from_secs(10),
        "6 s until pods are ready and 4 s of steadiness were over after {took:?}"
    );
    ensure!(
        number(&rollout, "/status/currentStepIndex") == 3
            && text(&rollout, "/status/canary/stepPluginStatuses/0/phase") == "Successful",
        "{}",
        rollout["status"]
    );
    let sets = sizes(&stage, name).await?;
    ensure!(
        sets == [2, 4],
        "{sets:?}, not the 2 of setCanaryScale beside 4"
    );
    stage.promote(name).await?;
    stage
        .rollout_until(name, "the second pause", 90, |rollout| {
            paused(rollout) && number(rollout, "/status/currentStepIndex") == 6
        })
        .await?;
    ensure!(
        sizes(&stage, name).await? == [2, 4],
        "half of 4 pods are not 2"
    );
    stage.promote(name).await?;
    stage
        .rollout_until(name, "v2 to be healthy", 90, healthy)
        .await?;

    let strategies = crate::cluster::parse(&routed(name, &steps("acme/approve"), more))?;
    let strategy = strategies.first().context("no strategy")?;
    let patch = json!({ "spec": { "strategy": strategy } });
    stage.patch(name, &rollouts(), "web", &patch).await?;
    let refused = |rollout: &Value| {
        let told = super::watch::condition(rollout, "InvalidSpec");
        told.contains("acme/approve") && told.contains("steps[2].plugin")
    };
    stage
        .rollout_until(name, "the plugin to be refused by name", 30, refused)
        .await?;
    Ok(())
}

/// Changes to a version whose pods are not ready before some seconds have passed.
async fn slow(stage: &Stage, namespace: &str, version: &str, seconds: u32) -> Result<()> {
    let rollout = stage.get(namespace, &rollouts(), "web").await?;
    let mut template = rollout
        .pointer("/spec/template")
        .cloned()
        .context("no template")?;
    let container = template
        .pointer_mut("/spec/containers/0")
        .context("no container")?;
    container["image"] = json!(format!("{}:{version}", crate::product::images::DEMO_APP));
    container["env"] = json!([{ "name": "READY_AFTER", "value": seconds.to_string() }]);
    let patch = json!({ "spec": { "template": template } });
    stage.patch(namespace, &rollouts(), "web", &patch).await
}
